//! Where the listeners are, and the placeholders for them in answers: `{origin}`, `{other_origin}`, `{plain_origin}`.

use crate::answer::Answer;
use crate::fault::RedirectTo;
use crate::log::Origin;
use crate::wire::Request;

/// Scheme, host and port of each listener, without a slash at the end.
#[derive(Debug, Clone)]
pub(crate) struct Origins {
    pub(crate) main: String,
    pub(crate) other: String,
    /// With TLS alone.
    pub(crate) plain: Option<String>,
}

impl Origins {
    /// The answer that leads there.
    pub(crate) fn redirect(&self, status: u16, to: &RedirectTo, request: &Request, origin: Origin) -> Answer {
        let query = request.query.as_ref().map_or_else(String::new, |query| format!("?{query}"));
        let path = format!("{}{query}", request.path);
        let here = match origin {
            Origin::Main => "{origin}",
            Origin::Other => "{other_origin}",
            Origin::Plain => "{plain_origin}",
        };
        let url = match to {
            RedirectTo::Itself => format!("{here}{path}"),
            RedirectTo::OtherOrigin => format!("{{other_origin}}{path}"),
            RedirectTo::PlainHttp => format!("{{plain_origin}}{path}"),
            RedirectTo::Userinfo => self.fill(&format!("{here}{path}")).replacen("://", "://user:password@", 1),
            RedirectTo::Url(url) => url.clone(),
        };
        self.fill_in(Answer::new(status).header("Location", url))
    }

    /// Fills in the origins, in headers and in bodies of text.
    pub(crate) fn fill_in(&self, mut answer: Answer) -> Answer {
        for (_, value) in &mut answer.headers {
            *value = self.fill(value);
        }
        if let Ok(text) = std::str::from_utf8(&answer.body)
            && text.contains("origin}")
        {
            answer.body = self.fill(text).into();
        }
        answer
    }

    fn fill(&self, text: &str) -> String {
        let plain = self.plain.as_ref().unwrap_or(&self.main);
        text.replace("{origin}", &self.main).replace("{other_origin}", &self.other).replace("{plain_origin}", plain)
    }
}
