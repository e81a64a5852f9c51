use lettre::Message;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Attachment, MultiPart, SinglePart};

use super::reply::Problem;
use super::target::Target;

/// A mail of this run.
pub(super) struct TestMail {
    pub(super) from: String,
    pub(super) to: String,
    /// Its `Message-ID`, with the angle brackets.
    pub(super) id: String,
    pub(super) bytes: Vec<u8>,
}

/// A new Message-ID under the site's name. The run's test mails are found and deleted by it.
pub(super) fn new_id(target: &Target) -> String {
    format!("<mailimg-test.{:016x}@{}>", fastrand::u64(..), target.hostname)
}

/// A harmless mail.
pub(super) fn plain(from: &str, to: &str, id: &str) -> Result<TestMail, Problem> {
    build(from, to, id, SinglePart::plain("Sent by `mailimg test-mail`, which deletes it again.\n".to_owned()), None)
}

/// A mail that every scanner takes for a virus: it has the EICAR test file attached.
pub(super) fn virus(from: &str, to: &str, id: &str) -> Result<TestMail, Problem> {
    let text = SinglePart::plain("This mail contains the harmless EICAR test file.\n".to_owned());
    let file = Attachment::new("eicar.com".to_owned()).body(eicar(), ContentType::TEXT_PLAIN);
    build(from, to, id, text, Some(file))
}

/// Written backwards, so that no scanner takes the program itself for a virus.
fn eicar() -> String {
    "*H+H$!ELIF-TSET-SURIVITNA-DRADNATS-RACIE$}7)CC7)^P(45XZP\\4[PA@%P!O5X".chars().rev().collect()
}

fn build(from: &str, to: &str, id: &str, text: SinglePart, file: Option<SinglePart>) -> Result<TestMail, Problem> {
    let address = |text: &str| text.parse().map_err(|error| Problem::new("can't write a test mail", &error));
    let message = Message::builder().from(address(from)?).to(address(to)?).message_id(Some(id.to_owned()));
    // The user's absence notice must not answer it (RFC 3834).
    let automatic = HeaderValue::new(HeaderName::new_from_ascii_str("Auto-Submitted"), "auto-generated".to_owned());
    let message = message.subject("mailimg test-mail").raw_header(automatic);
    let message = match file {
        Some(file) => message.multipart(MultiPart::mixed().singlepart(text).singlepart(file)),
        None => message.singlepart(text),
    };
    let message = message.map_err(|error| Problem::new("can't write a test mail", &error))?;
    Ok(TestMail { from: from.to_owned(), to: to.to_owned(), id: id.to_owned(), bytes: message.formatted() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_mails_say_what_they_are() {
        let mail = plain("a@outside.invalid", "b@example.test", "<1@example.test>").unwrap();
        let text = String::from_utf8(mail.bytes).unwrap();
        for line in [
            "From: a@outside.invalid",
            "To: b@example.test",
            "Message-ID: <1@example.test>",
            "Auto-Submitted: auto-generated",
        ] {
            assert!(text.contains(&format!("{line}\r\n")), "{line} in {text}");
        }
        assert!(text.contains("\r\nDate: ") && text.contains("\r\nSubject: mailimg test-mail\r\n"), "{text}");
        let mail = virus("a@outside.invalid", "b@example.test", "<1@example.test>").unwrap();
        let text = String::from_utf8(mail.bytes).unwrap();
        assert!(
            text.contains("filename=\"eicar.com\"") && text.contains(&eicar()[..20]) && eicar().ends_with("FILE!$H+H*"),
            "{text}"
        );
    }
}
