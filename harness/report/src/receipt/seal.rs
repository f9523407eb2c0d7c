//! The hash that tells a receipt that was changed by hand.

use sha2::{Digest as _, Sha256};

use super::Receipt;

impl Receipt {
    /// What [`Receipt::seal`] must hold.
    fn hash(&self) -> String {
        let open = Receipt { seal: String::new(), ..self.clone() };
        // Compact and in the order of the fields: white space in the file does not count.
        let text = serde_json::to_vec(&open).unwrap_or_default();
        sha256(&text)
    }

    /// The receipt with its seal.
    pub fn sealed(mut self) -> Self {
        self.seal = self.hash();
        self
    }

    /// Whether nobody changed it since it was sealed.
    pub fn is_sealed(&self) -> bool {
        self.seal == self.hash()
    }
}

/// SHA-256 in lower-case hex.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
