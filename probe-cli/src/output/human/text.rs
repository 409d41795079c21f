//! Text on a terminal: its width, cutting it, and removing control characters.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Returns the width in terminal columns. An East Asian character takes two, a combining
/// character none.
pub(super) fn width(text: &str) -> usize {
    text.width()
}

/// Cuts a text at the right, because the beginning of a name is its most specific part.
pub(crate) fn fit(text: &str, limit: usize) -> String {
    if width(text) <= limit {
        return text.to_owned();
    }
    let mut cut = leading(text.chars(), limit.saturating_sub(1));
    cut.push('…');
    cut
}

/// Cuts a text at the left, because the end of a path is its most specific part.
pub(crate) fn fit_end(text: &str, limit: usize) -> String {
    if width(text) <= limit {
        return text.to_owned();
    }
    let end = leading(text.chars().rev(), limit.saturating_sub(1));
    ['…'].into_iter().chain(end.chars().rev()).collect()
}

/// Takes as many characters as fit.
fn leading(chars: impl Iterator<Item = char>, limit: usize) -> String {
    let mut used = 0;
    chars
        .take_while(|char| {
            used += char.width().unwrap_or(0);
            used <= limit
        })
        .collect()
}

/// Replaces control characters, and characters that change the direction of text. The name of
/// a process may contain them, and must not control the terminal.
pub(crate) fn printable(text: &str) -> String {
    text.chars()
        .map(|char| if is_harmless(char) { char } else { '?' })
        .collect()
}

fn is_harmless(char: char) -> bool {
    // Bidirectional marks, embeddings, overrides and isolates.
    let turns = matches!(
        char,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    );
    !char.is_control() && !turns
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_keep_their_end_and_names_their_beginning() {
        assert_eq!(fit_end("/system.slice/x.service", 10), "…x.service");
        assert_eq!(fit("firefox", 5), "fire…");
        assert_eq!(fit("firefox", 7), "firefox");
    }

    #[test]
    fn wide_characters_take_two_columns_and_are_never_halved() {
        assert_eq!(width("名前"), 4);
        assert_eq!(fit("名前が長い", 10), "名前が長い");
        assert_eq!(fit("名前が長い", 9), "名前が長…");
        assert_eq!(fit("名前が長い", 8), "名前が…");
        assert_eq!(fit_end("名前が長い", 8), "…が長い");
        assert_eq!(fit("名", 1), "…");
    }

    #[test]
    fn control_characters_are_replaced() {
        assert_eq!(printable("a\u{1b}[31m\n"), "a?[31m?");
        assert_eq!(printable("\u{9b}31m\u{202e}txt.exe\u{7f}"), "?31m?txt.exe?");
        assert_eq!(printable("名前 é"), "名前 é");
    }

    #[test]
    fn the_arabic_letter_mark_is_replaced() {
        assert_eq!(printable("a\u{61c}b"), "a?b");
    }
}
