//! Tokens for tests, on every target.

use serde_json::Value;

/// A JWT with this payload, and no signature to speak of.
pub(crate) fn jwt(payload: &Value) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut encoded = String::new();
    for chunk in payload.to_string().as_bytes().chunks(3) {
        let bits = (0..).zip(chunk).fold(0_u32, |bits, (place, byte)| bits | u32::from(*byte) << (16 - 8 * place));
        (0..=chunk.len()).for_each(|digit| encoded.push(DIGITS[(bits >> (18 - 6 * digit) & 63) as usize].into()));
    }
    format!("e30.{encoded}.c2ln")
}
