//! Which helper columns a lake has.
//!
//! In comes the choice as typed (`numeric,dates`); out goes an [`Annotations`] and its stable text form. Annotations are
//! derivable from the columns they stand behind; rebuilding a resource never needs them.

use std::fmt;
use std::str::FromStr;

use crate::error::AnnotationError;

/// The kinds of annotations (`__<element>_<annotation>` columns) that are on; fixed when a lake is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Annotations {
    /// Behind a decimal `x`: `__x_numeric` DECIMAL(38,6).
    pub numeric: bool,
    /// Behind a date, dateTime or instant `x`: `__x_start` and `__x_end`, UTC timestamps.
    pub dates: bool,
    /// Behind `Reference.reference`: `__reference_type` and `__reference_id`.
    pub references: bool,
}

impl Annotations {
    /// Every kind off.
    pub const NONE: Annotations = Annotations { numeric: false, dates: false, references: false };

    /// The names of the kinds that are on, in a fixed order.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        [("numeric", self.numeric), ("dates", self.dates), ("references", self.references)]
            .into_iter()
            .filter_map(|(name, on)| on.then_some(name))
    }
}

impl Default for Annotations {
    fn default() -> Self {
        Self { numeric: true, dates: true, references: false }
    }
}

/// `numeric,dates`, or `none`.
impl fmt::Display for Annotations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.names().collect();
        f.write_str(if names.is_empty() { "none".to_owned() } else { names.join(",") }.as_str())
    }
}

/// Kinds separated by commas, in any order, blanks around them ignored; or `none`.
impl FromStr for Annotations {
    type Err = AnnotationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut on = Self::NONE;
        if text.trim() == "none" {
            return Ok(on);
        }
        for name in text.split(',') {
            match name.trim() {
                "numeric" => on.numeric = true,
                "dates" => on.dates = true,
                "references" => on.references = true,
                other => return Err(AnnotationError { name: other.to_owned() }),
            }
        }
        Ok(on)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_form_round_trips() {
        for text in ["none", "numeric", "dates", "references", "numeric,dates", "numeric,dates,references"] {
            assert_eq!(text.parse::<Annotations>().unwrap().to_string(), text);
        }
        assert_eq!(Annotations::default().to_string(), "numeric,dates");
        assert_eq!("dates , numeric".parse(), Ok(Annotations::default()));
    }

    #[test]
    fn an_unknown_kind_is_named() {
        for text in ["", "numeric,", "Numeric", "none,dates", "dates,codes"] {
            let error = text.parse::<Annotations>().unwrap_err();
            assert!(text.contains(&error.name), "{text}: {error}");
        }
    }
}
