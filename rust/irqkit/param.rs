// SPDX-License-Identifier: GPL-2.0

//! Module parameters that take one word of a set.
//!
//! [`kernel::module_param`] knows numbers and booleans. [`module_choice_param!`] adds a parameter
//! whose value is an `enum` of the driver, given by name: `insmod m.ko irq_mode=msi`.
//!
//! C header: [`include/linux/moduleparam.h`](srctree/include/linux/moduleparam.h)
//!
//! [`module_choice_param!`]: crate::module_choice_param

use kernel::{
    bindings,
    fmt,
    prelude::*,
    sync::SetOnce, //
};

use core::marker::PhantomData;

#[doc(hidden)]
pub use kernel::{
    bindings::{
        __this_module, //
        kernel_param,
        kernel_param__bindgen_ty_1,
    },
    module_param::KernelParam,
    str::as_char_ptr_in_const_context, //
};

/// A type whose values have names.
pub trait Choice: Copy + Sync + 'static {
    /// Every value, and the word for it.
    const WORDS: &'static [(&'static str, Self)];

    /// The value that `word` stands for.
    fn from_word(word: &str) -> Option<Self> {
        Self::WORDS
            .iter()
            .find_map(|&(name, value)| (name == word).then_some(value))
    }
}

/// The value of a parameter that [`module_choice_param!`](crate::module_choice_param) declared.
pub struct ChoiceParam<T: Choice> {
    given: SetOnce<T>,
    default: T,
}

impl<T: Choice> ChoiceParam<T> {
    #[doc(hidden)]
    pub const fn new(default: T) -> Self {
        Self {
            given: SetOnce::new(),
            default,
        }
    }

    /// The value given when the module was loaded, or else the default. Any context.
    pub fn value(&self) -> T {
        self.given.copy().unwrap_or(self.default)
    }

    #[doc(hidden)]
    pub const fn as_void_ptr(&self) -> *mut c_void {
        core::ptr::from_ref(self).cast_mut().cast()
    }

    /// What the C side calls to set such a parameter.
    #[doc(hidden)]
    pub const OPS: bindings::kernel_param_ops = bindings::kernel_param_ops {
        flags: 0,
        set: Some(set::<T>),
        get: None,
        free: None,
    };
}

/// Sets a [`ChoiceParam`] from a string: `struct kernel_param_ops.set`.
///
/// # Safety
///
/// - `val` is null, or a C string that is valid for the call.
/// - `param` is valid for reads, and its `arg` points to a `ChoiceParam<T>` that lives as long as
///   the module.
unsafe extern "C" fn set<T: Choice>(
    val: *const c_char,
    param: *const bindings::kernel_param,
) -> c_int {
    // No value at all, `insmod m.ko irq_mode`, comes as a null pointer.
    if val.is_null() {
        return EINVAL.to_errno();
    }

    // SAFETY: `val` is a valid C string by the requirements of this function.
    let word = unsafe { CStr::from_char_ptr(val) }.to_str().unwrap_or("");

    // SAFETY: `param` is valid for reads by the requirements of this function, and `arg` is the
    // member of the union that `module_choice_param!` sets.
    let this = unsafe { (*param).__bindgen_anon_1.arg }.cast::<ChoiceParam<T>>();

    // SAFETY: `arg` points to a `ChoiceParam<T>` by the requirements of this function. It is only
    // ever shared.
    let this = unsafe { &*this };

    match T::from_word(word.trim_end()) {
        // Given twice: the first one counts, as for the parameters of the kernel crate.
        Some(value) if this.given.populate(value) => 0,
        Some(_) => EEXIST.to_errno(),
        None => {
            // SAFETY: `name` is a C string for as long as the module is there.
            let name = unsafe { CStr::from_char_ptr((*param).name) };
            pr_err!(
                "parameter {}: '{}' is not one of:{}\n",
                name.to_str().unwrap_or("?"),
                word,
                Words::<T>(PhantomData)
            );
            EINVAL.to_errno()
        }
    }
}

/// Writes the words of a [`Choice`], each after a space.
struct Words<T>(PhantomData<T>);

impl<T: Choice> fmt::Display for Words<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        T::WORDS
            .iter()
            .try_for_each(|(word, _)| write!(f, " {word}"))
    }
}

/// Copies the bytes of a string into an array, for a static of exactly that size.
#[doc(hidden)]
pub const fn bytes_of<const N: usize>(text: &str) -> [u8; N] {
    let bytes = text.as_bytes();
    let mut array = [0; N];
    let mut i = 0;
    while i < N {
        array[i] = bytes[i];
        i += 1;
    }
    array
}

/// Declares a module parameter that takes one word of a [`Choice`](crate::param::Choice).
///
/// The parameter is read when the module is loaded, and does not appear in sysfs, as those of
/// `module!`. The name must be an identifier, and the parameter is a static of that name.
///
/// # Examples
///
/// ```ignore
/// irqkit::module_choice_param! {
///     /// How to be interrupted.
///     irq_mode: IrqMode = IrqMode::Auto, "auto, intx or msi"
/// }
///
/// let mode = irq_mode.value();
/// ```
#[macro_export]
macro_rules! module_choice_param {
    ($(#[$attr:meta])* $name:ident: $type:ty = $default:expr, $description:literal) => {
        $(#[$attr])*
        #[allow(non_upper_case_globals)]
        pub(crate) static $name: $crate::param::ChoiceParam<$type> =
            $crate::param::ChoiceParam::new($default);

        #[cfg(MODULE)]
        #[allow(unsafe_code)]
        const _: () = {
            #[link_section = "__param"]
            #[used]
            static PARAM: $crate::param::KernelParam =
                $crate::param::KernelParam::new($crate::param::kernel_param {
                    name: $crate::param::as_char_ptr_in_const_context(
                        match ::core::ffi::CStr::from_bytes_with_nul(
                            concat!(stringify!($name), "\0").as_bytes(),
                        ) {
                            Ok(name) => name,
                            Err(_) => panic!("not a name"),
                        },
                    ),
                    // SAFETY: The module's own `struct module`, of which only the address is taken.
                    mod_: unsafe {
                        ::core::ptr::from_ref(&$crate::param::__this_module).cast_mut()
                    },
                    ops: &$crate::param::ChoiceParam::<$type>::OPS,
                    perm: 0,
                    level: -1,
                    flags: 0,
                    __bindgen_anon_1: $crate::param::kernel_param__bindgen_ty_1 {
                        arg: $name.as_void_ptr(),
                    },
                });

            const TYPE: &str = concat!("parmtype=", stringify!($name), ":charp\0");
            #[link_section = ".modinfo"]
            #[used]
            static PARMTYPE: [u8; TYPE.len()] = $crate::param::bytes_of(TYPE);

            const TEXT: &str = concat!("parm=", stringify!($name), ":", $description, "\0");
            #[link_section = ".modinfo"]
            #[used]
            static PARM: [u8; TEXT.len()] = $crate::param::bytes_of(TEXT);
        };
    };
}
