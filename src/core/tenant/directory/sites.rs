//! Numbers at sites and outside.

use super::{Directory, SiteEntry};
use crate::core::tenant::address;
use crate::proto::cas::em_wink::ADDRESS_DIGITS_MAX;

impl SiteEntry {
    /// What is dialled for an extension on the trunks to the site's switch.
    pub fn dialled(&self, extension: &str) -> String {
        let stripped = extension.chars().skip(usize::from(self.extension_strip));
        self.extension_prefix.chars().chain(stripped).collect()
    }

    /// Whether a switch can be given this number, by whatever kind of trunk.
    pub fn is_dialled(number: &str) -> bool {
        (1..=ADDRESS_DIGITS_MAX).contains(&number.len()) && !number.starts_with('+') && address::is_dialled(number)
    }
}

impl Directory {
    /// A site by name.
    pub fn site_by_name(&self, name: &str) -> Option<&SiteEntry> {
        self.sites.find(None, name)
    }
}
