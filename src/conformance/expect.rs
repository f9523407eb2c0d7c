//! What a call is expected to answer, and whether an answer is that.

use super::call::names;

/// What a call is expected to answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expect {
    /// `?`: whatever is seen is recorded.
    Calibrate,
    /// One of these; each is a result and, where given, further words that must be among the answer's.
    OneOf(Vec<Vec<String>>),
}

impl Expect {
    /// True where `saw` is what was expected. A `?` is satisfied by everything.
    pub fn accepts(&self, saw: &str) -> bool {
        let words: Vec<&str> = saw.split_whitespace().collect();
        match self {
            Self::Calibrate => true,
            // After a result code an answer may carry more words than were asked for; a list of
            // values, node types or edges is compared as a whole.
            Self::OneOf(alternatives) => alternatives.iter().any(|wanted| match wanted.first() {
                Some(first) if names::is_result(first) => {
                    words.first() == Some(&first.as_str()) && wanted.iter().all(|word| words.contains(&word.as_str()))
                }
                _ => wanted.iter().map(String::as_str).eq(words.iter().copied()),
            }),
        }
    }

    /// The expectation as a case file spells it.
    pub fn text(&self) -> String {
        match self {
            Self::Calibrate => "?".into(),
            Self::OneOf(alternatives) => alternatives.iter().map(|words| words.join(" ")).collect::<Vec<_>>().join("|"),
        }
    }

    /// Reads an expectation.
    ///
    /// # Errors
    /// A first word that is no result of CUDA and no answer of a probe.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text == "?" {
            return Ok(Self::Calibrate);
        }
        let mut alternatives = Vec::new();
        for alternative in text.split('|') {
            let words: Vec<String> = alternative.split_whitespace().map(str::to_owned).collect();
            match words.first() {
                None => return Err("an empty expectation: write a result's name, or `?`".into()),
                Some(first) if !names::is_outcome(first) => {
                    return Err(format!("`{first}` is no CUDA result: write its name without CUDA_ERROR_, or `?`"));
                }
                Some(_) => alternatives.push(words),
            }
        }
        Ok(Self::OneOf(alternatives))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expectation_matches_its_words() {
        let expect = |text: &str| Expect::parse(text).unwrap();
        assert!(expect("SUCCESS").accepts("SUCCESS ACTIVE deps=1"));
        assert!(expect("SUCCESS deps=1").accepts("SUCCESS ACTIVE deps=1"));
        assert!(!expect("SUCCESS deps=2").accepts("SUCCESS ACTIVE deps=1"));
        assert!(expect("7 8").accepts("7 8"));
        assert!(!expect("7 8").accepts("8 7"));
        assert!(!expect("7").accepts("7 8"));
        assert!(!expect("SUCCESS").accepts("BLOCKED SUCCESS"));
        assert!(expect("KERNEL*2 MEMCPY").accepts("KERNEL*2 MEMCPY"));
    }
}
