// SPDX-License-Identifier: GPL-2.0

//! The module parameter `irq_mode`.

use irqkit::param::Choice;
use kernel::pci::{
    IrqType,
    IrqTypes, //
};

/// How the devices are to interrupt.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum IrqMode {
    /// MSI where device and platform can, else INTx.
    Auto,
    /// INTx, a line that may be shared.
    Intx,
    /// MSI, a line of one's own.
    Msi,
}

impl Choice for IrqMode {
    const WORDS: &'static [(&'static str, Self)] = &[
        (Self::Auto.word(), Self::Auto),
        (Self::Intx.word(), Self::Intx),
        (Self::Msi.word(), Self::Msi),
    ];
}

impl IrqMode {
    /// The word for it.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Intx => "intx",
            Self::Msi => "msi",
        }
    }

    /// The types of interrupt to ask the PCI core for.
    pub(crate) fn types(self) -> IrqTypes {
        let none = IrqTypes::default();
        match self {
            Self::Auto => none.with(IrqType::Msi).with(IrqType::Intx),
            Self::Intx => none.with(IrqType::Intx),
            Self::Msi => none.with(IrqType::Msi),
        }
    }
}

irqkit::module_choice_param! {
    /// The interrupt that `insmod` was told to use.
    irq_mode: IrqMode = IrqMode::Auto, "Interrupt to use: auto (MSI, else INTx), intx or msi"
}
