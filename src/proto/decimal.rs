//! Whole numbers as text, without the machinery of formatting, which a page would have to download.

/// A number in decimal.
pub(crate) fn decimal(number: u64) -> String {
    let mut text = String::new();
    push(&mut text, number);
    text
}

/// A number that may be negative.
pub(crate) fn signed(number: i64) -> String {
    let mut text = String::new();
    if number < 0 {
        text.push('-');
    }
    push(&mut text, number.unsigned_abs());
    text
}

fn push(text: &mut String, number: u64) {
    if number >= 10 {
        push(text, number / 10);
    }
    text.push(char::from(b'0' + (number % 10) as u8));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test;

    #[test]
    fn writes_what_formatting_would() {
        for number in [0, 7, 10, 909, u64::from(u32::MAX), u64::MAX] {
            assert_eq!(decimal(number), number.to_string());
        }
        for number in [0, -1, 43, -1_000, i64::MIN, i64::MAX] {
            assert_eq!(signed(number), number.to_string());
        }
    }
}
