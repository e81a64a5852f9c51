/// The start of a text from outside, short enough for a message.
pub(super) fn excerpt(text: &str) -> String {
    text.chars().take(80).collect()
}
