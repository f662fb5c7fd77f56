//! What a FHIR reference points to.

/// Resource type and id of a literal reference (FHIR R4 §2.3.0.1): `Patient/23`, `https://…/Patient/23`, either with
/// `/_history/1` behind it. Nothing for fragments, URNs and conditional references.
pub(crate) fn reference_target(text: &str) -> Option<(&str, &str)> {
    let text = text.split_once("/_history/").map_or(text, |(target, _)| target);
    let (before, id) = text.rsplit_once('/')?;
    let resource_type = before.rsplit('/').next()?;
    let is_id = !id.is_empty()
        && id.len() <= 64
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte));
    let is_type = resource_type.as_bytes().first().is_some_and(u8::is_ascii_uppercase)
        && resource_type.bytes().all(|byte| byte.is_ascii_alphabetic());
    (is_id && is_type).then_some((resource_type, id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literal_references_have_a_target() {
        for text in ["Patient/23", "https://example.org/r4/Patient/23", "Patient/23/_history/4"] {
            assert_eq!(reference_target(text), Some(("Patient", "23")), "{text}");
        }
        for text in [
            "",
            "#p1",
            "urn:uuid:0c3151bd",
            "Patient",
            "Patient/",
            "Patient?identifier=a/b",
            "patient/23",
            "https://example.org/23",
        ] {
            assert_eq!(reference_target(text), None, "{text}");
        }
    }
}
