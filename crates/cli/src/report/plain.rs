//! Texts of others, fit to be shown. In comes what a server or a damaged lake calls something, out goes the same text
//! without what a terminal or a page would act upon instead of showing it.

/// Control characters, and those that turn the direction of writing, are shown as `U+FFFD`.
pub fn plain(text: &str) -> String {
    text.replace(|c| char::is_control(c) || is_direction(c), "\u{fffd}")
}

/// A name with one of these can look like another one (Unicode Technical Report 36, 2.1.3).
fn is_direction(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_would_act_is_replaced() {
        for (text, shown) in [
            ("Patient.000.ndjson", "Patient.000.ndjson"),
            ("Größe „1“ <b>&amp;", "Größe „1“ <b>&amp;"),
            ("a\u{1b}[2Jb\r\n\t", "a\u{fffd}[2Jb\u{fffd}\u{fffd}\u{fffd}"),
            ("a\u{202e}nosjdn.b\u{2069}", "a\u{fffd}nosjdn.b\u{fffd}"),
        ] {
            assert_eq!(plain(text), shown);
        }
    }
}
