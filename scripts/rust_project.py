#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Adds the suite's crates to what the kernel's own generator says of the kernel's.

rust_project.py CHECKOUT KERNEL-JSON BUILD-ROOT MODULES-DIR, prints a rust-project.json. Paths of the
standard library are those inside the build root, and are given as seen from outside.
"""

import json
import pathlib
import sys


def main(top, kernel_json, root, modules):
    top = pathlib.Path(top)
    project = json.loads(pathlib.Path(kernel_json).read_text(encoding='utf-8'))
    crates = project['crates']
    number = {}
    for index, crate in enumerate(crates):
        # Host and target have crates of one name; those of the target come last.
        number[crate['display_name']] = index
        crate['is_workspace_member'] = False
        if crate['root_module'].startswith('/usr/'):
            crate['root_module'] = root + crate['root_module']
    for key in ('sysroot', 'sysroot_src'):
        if project.get(key, '').startswith('/usr'):
            project[key] = root + project[key]

    kernel = crates[number['kernel']]
    for name in ('core', 'macros', 'bindings', 'kernel'):
        if name not in number:
            sys.exit(f'rust_project.py: the kernel describes no crate {name}')

    def add(name, path, deps, env=None):
        number[name] = len(crates)
        crates.append({
            'display_name': name,
            'root_module': str(path),
            'is_workspace_member': True,
            'is_proc_macro': False,
            'deps': [{'crate': number[dep], 'name': dep} for dep in deps if dep in number],
            'cfg': kernel['cfg'] + ['MODULE'],
            'edition': '2021',
            'env': {'RUST_MODFILE': 'This is only for rust-analyzer', **(env or {})},
            'source': {'include_dirs': [str(top), modules], 'exclude_dirs': []},
        })

    base = ['core', 'compiler_builtins', 'ffi', 'macros', 'pin_init', 'zerocopy', 'bindings', 'uapi',
            'build_error', 'kernel']
    bindings = str(pathlib.Path(modules) / 'rust/bindings')
    add('irqkit_bindings', top / 'rust/bindings/lib.rs', base, {'IRQKIT_BINDINGS': bindings})
    add('irqkit', top / 'rust/irqkit/lib.rs', base + ['irqkit_bindings'])
    users = [path for path in sorted(top.glob('rust_*/rust_*.rs')) if path.stem == path.parent.name]
    for path in users + sorted(top.glob('kunit/*.rs')) + sorted(top.glob('samples/*.rs')):
        add(path.stem, path, base + ['irqkit'])
    json.dump(project, sys.stdout, sort_keys=True, indent=4)
    print()


if __name__ == '__main__':
    main(*sys.argv[1:])
