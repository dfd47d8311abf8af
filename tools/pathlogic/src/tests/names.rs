// SPDX-License-Identifier: GPL-2.0

use crate::names::*;

#[test]
fn components() {
    for good in ["stats", "0000:00:04.0", "a-b_c", "..."] {
        assert!(is_component(good), "{good}");
    }
    for bad in ["", ".", "..", "a/b", "a b", "a\n", "ä", "a\0"] {
        assert!(!is_component(bad), "{bad:?}");
    }
}

#[test]
fn paths() {
    for good in ["hardirq", "work/refill", "napi/rx-0", "a/b/c"] {
        assert!(is_path(good), "{good}");
    }
    for bad in [
        "", "/", "/a", "a/", "a//b", "a/../b", "a.b", "..", "work/a b",
    ] {
        assert!(!is_path(bad), "{bad:?}");
    }
}

#[test]
fn prefixes_from_the_outside_in() {
    assert_eq!(prefixes("a/b/c").collect::<Vec<_>>(), ["a", "a/b", "a/b/c"]);
    assert_eq!(prefixes("thread").collect::<Vec<_>>(), ["thread"]);
    assert_eq!(last("a/b/c"), "c");
    assert_eq!(last("thread"), "thread");
}

#[test]
fn quoted_is_one_short_line() {
    assert_eq!(Quoted("12 x").to_string(), "\"12 x\"");
    assert_eq!(
        Quoted("a\nb\u{1b}[31m\"").to_string(),
        r#""a\nb\u{1b}[31m\"""#
    );

    let long = "ü".repeat(QUOTED_MAX + 1);
    assert_eq!(
        Quoted(&long).to_string(),
        format!("\"{}\"...", "ü".repeat(QUOTED_MAX))
    );
    let fits = "x".repeat(QUOTED_MAX);
    assert_eq!(Quoted(&fits).to_string(), format!("\"{fits}\""));
}
