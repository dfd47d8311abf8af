# SPDX-License-Identifier: GPL-2.0
"""What try-net, count-net and profile-net share: the card that is tried, its peer, the two drivers of it, and the
functions that these consist of."""

import bisect
import json
import os
import re
import subprocess

DEVICE = "0000:00:07.0"
OURS, PEER = "10.7.0.1", "10.7.0.2"
DRIVERS = {"c": "virtio-pci", "rust": "rust_napi_net"}
DEBUGFS = f"/sys/kernel/debug/{DRIVERS['rust']}/{DEVICE}"
# Addresses of the kernel's half begin there.
KERNEL = 1 << 63
# iperf3's streams.
KINDS = {
    "TCP send": [],
    "TCP receive": ["--reverse"],
    "UDP 64 send": ["--udp", "--length", "64", "--bitrate", "0"],
    "UDP 64 receive": ["--udp", "--length", "64", "--bitrate", "0", "--reverse"],
}
# What a driver consists of: its modules, and what is built in.
PARTS = {
    "c": (("virtio_net",), re.compile("virtqueue_|vring_|detach_buf_|vp_notify|sg_init_|(__)?skb_to_sgvec")),
    "rust": (("rust_napi_net", "irqkit"), re.compile("rust_helper_|_R")),
}


def run(*command):
    """What a command prints; if it fails, that ends it all."""
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: status {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def lib(command):
    """A command of scripts/guest/net.sh, after the peer was found."""
    find = "peer_nic=$(in_peer ls /sys/class/net 2>/dev/null | grep -v lo | head -n 1)"
    return run("bash", "-c", f". /lab/scripts/guest/net.sh; {find}; {command}").strip()


def take(driver):
    """Has a driver take the card, and takes its link up."""
    run("/lab/scripts/bind", DEVICE, driver)
    lib(f"link {DEVICE} && reachable")


def pinned():
    """Options of iperf3: it has the first CPU and its server the second. Where the scheduler puts them decides more than
    the driver does."""
    return ["--affinity", "0,1"] if os.cpu_count() > 1 else []


def iperf(seconds, options, before=()):
    """What came: bits and packets a second. iperf3 is run by the command `before`."""
    command = [*before, "iperf3", "--client", PEER, "--json", "--time", str(seconds), *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 60)
    try:
        result = json.loads(done.stdout)
    except json.JSONDecodeError:
        raise SystemExit(f"{command[0]} says nothing that can be read: {done.stdout}{done.stderr}") from None
    if "error" in result:
        raise SystemExit(f"iperf3: {result['error']}")
    end = result["end"]
    if "--udp" in options:
        total = end.get("sum_received") or end["sum"]
        came = total["packets"] - total["lost_packets"]
        return total["bits_per_second"], came / total["seconds"]
    return end["sum_received"]["bits_per_second"], 0


def interrupts(label):
    """How many the kernel has counted for those whose names begin so."""
    with open("/proc/interrupts") as file:
        rows = [line.split() for line in file]
    cpus = len(rows[0])
    return sum(int(n) for row in rows if row[-1].startswith(label) for n in row[1 : cpus + 1])


def exits(driver):
    """What the card has cost that no instruction in the guest shows, by either driver: how often the device was notified,
    and how often it interrupted."""
    if driver == DRIVERS["rust"]:
        label = f"virtio-{DEVICE}"
        with open(f"{DEBUGFS}/nic") as file:
            rows = [line.split() for line in file]
        kicks = sum(int(row[1]) for row in rows if row[0].endswith("_kicks"))
    else:
        (label,) = (name for name in os.listdir(f"/sys/bus/pci/devices/{DEVICE}") if name.startswith("virtio"))
        label += "-"
        (nic,) = os.listdir(f"/sys/bus/pci/devices/{DEVICE}/{label[:-1]}/net")
        rows = [line.split(":") for line in run("ethtool", "--statistics", nic).splitlines()]
        # By queue; a sum over the queues may be there as well.
        kicks = sum(int(row[1]) for row in rows if re.fullmatch(r"\s*[rt]x\d+_kicks", row[0]))
    return {"notifications": kicks, "interrupts": interrupts(label)}


class Functions:
    """All functions of the kernel and its modules, as they lie in memory now."""

    def __init__(self):
        found = []
        with open("/proc/kallsyms") as file:
            for line in file:
                address, _, name, *module = line.split()
                found.append((int(address, 16), module[0][1:-1] if module else "kernel", name))
        self.places = sorted(found)
        self.addresses = [address for address, _, _ in self.places]

    def at(self, address):
        """The module and the name of the one at an address."""
        _, module, name = self.places[bisect.bisect(self.addresses, address) - 1]
        return module, name


def is_part(driver, module, name):
    """Whether a function is one of those that a driver, "c" or "rust", consists of."""
    modules, built_in = PARTS[driver]
    return module in modules or bool(built_in.match(name))
