//! Whole numbers as text and back, without the machinery for all kinds of them, which a page would have to download.

/// A number in decimal.
pub(crate) fn decimal(number: u64) -> String {
    let mut text = String::new();
    push(&mut text, number);
    text
}

/// Adds a number to a text.
pub(crate) fn push(text: &mut String, number: u64) {
    if number >= 10 {
        push(text, number / 10);
    }
    text.push(char::from(b'0' + (number % 10) as u8));
}

/// The same of a number that may be negative.
pub(crate) fn push_signed(text: &mut String, number: i64) {
    if number < 0 {
        text.push('-');
    }
    push(text, number.unsigned_abs());
}

/// The number that a text of digits stands for, if it fits.
pub(crate) fn read(digits: &[u8]) -> Option<u64> {
    let mut number = 0;
    for byte in digits {
        let digit = u64::from(byte.wrapping_sub(b'0'));
        if digit > 9 || number > (u64::MAX - digit) / 10 {
            return None;
        }
        number = number * 10 + digit;
    }
    (!digits.is_empty()).then_some(number)
}

/// The same of a number that may be negative.
pub(crate) fn read_signed(text: &str) -> Option<i64> {
    match text.as_bytes() {
        [b'-', digits @ ..] => 0_i64.checked_sub_unsigned(read(digits)?),
        digits => read(digits)?.try_into().ok(),
    }
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
            let mut text = String::new();
            push_signed(&mut text, number);
            assert_eq!(text, number.to_string());
        }
    }

    #[test]
    fn reads_what_parsing_would_but_for_a_plus() {
        for text in
            ["", "-", "0", "-0", "007", "43", "-43", "4 3", "4.3", "x", "-x", "٣", "/", ":", "18446744073709551615"]
        {
            assert_eq!((read(text.as_bytes()), read_signed(text)), (text.parse().ok(), text.parse().ok()), "{text}");
        }
        for text in ["18446744073709551616", "9223372036854775807", "9223372036854775808", "-9223372036854775808"] {
            assert_eq!((read(text.as_bytes()), read_signed(text)), (text.parse().ok(), text.parse().ok()), "{text}");
        }
        assert_eq!(
            (read_signed("-9223372036854775809"), read(b"+1"), read(b"99999999999999999999")),
            (None, None, None)
        );
    }
}
