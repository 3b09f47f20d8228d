//! What decoders refuse though JSON allows it: a byte order mark, and halves of surrogate pairs.

/// A copy without a byte order mark, in which each escaped half of a surrogate pair is U+FFFD. `None` if there is neither.
pub(in crate::proto) fn mended(text: &str) -> Option<String> {
    let start = super::after_mark(text);
    let halves = halves(text.as_bytes());
    if start == 0 && halves.is_empty() {
        return None;
    }
    let mut mended = String::with_capacity(text.len());
    let mut from = start;
    for half in halves {
        mended.push_str(&text[from..half]);
        mended.push_str("\\ufffd");
        from = half + ESCAPE;
    }
    mended.push_str(&text[from..]);
    Some(mended)
}

/// The length of `\ud83d`.
const ESCAPE: usize = 6;

/// Where the escaped halves stand that have no other half.
fn halves(bytes: &[u8]) -> Vec<usize> {
    let (mut halves, mut at) = (Vec::new(), 0);
    while let Some(next) = bytes.get(at..).and_then(|rest| rest.iter().position(|byte| *byte == b'\\')) {
        at += next;
        at += match (unit(bytes, at), unit(bytes, at + ESCAPE)) {
            (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => 2 * ESCAPE,
            (Some(0xd800..=0xdfff), _) => {
                halves.push(at);
                ESCAPE
            }
            // Any other escape, which may be that of a backslash.
            _ => 2,
        };
    }
    halves
}

/// The UTF-16 unit that is escaped here.
fn unit(bytes: &[u8], at: usize) -> Option<u16> {
    let digits = bytes.get(at..at + ESCAPE)?.strip_prefix(b"\\u")?;
    digits.iter().try_fold(0, |unit, digit| Some(unit << 4 | char::from(*digit).to_digit(16)? as u16))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test;

    #[test]
    fn mends_halves_and_the_mark_and_nothing_else() {
        for (text, wanted) in [
            (r#""\ud83d\ude80""#, None),
            (r#""\\ud83d""#, None),
            (r#""é\u0041""#, None),
            ("", None),
            (r"\", None),
            (r"\ud83", None),
            (r"\u+83d", None),
            (r#""\ud83d""#, Some(r#""\ufffd""#)),
            (r#""\\\ud83d\\""#, Some(r#""\\\ufffd\\""#)),
            (r"\ud83d\ud83d\ude80\ude80", Some(r"\ufffd\ud83d\ude80\ufffd")),
            (r"\ud83d\n\ude80é", Some(r"\ufffd\n\ufffdé")),
            ("\u{feff}{}", Some("{}")),
            ("\u{feff}\u{feff}\\uDE80", Some("\u{feff}\\ufffd")),
        ] {
            assert_eq!(mended(text).as_deref(), wanted, "{text}");
        }
    }
}
