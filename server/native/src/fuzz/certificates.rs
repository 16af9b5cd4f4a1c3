//! Certificates: a file may be read while it is written, and what comes of that is an error.

use super::Target;
use crate::dice::Dice;
use crate::tls;

pub const TARGET: Target = Target { name: "certificates", samples, check };

fn samples() -> Vec<Vec<u8>> {
    let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (certificate, key) = (pair.cert.pem().into_bytes(), pair.signing_key.serialize_pem().into_bytes());
    vec![[&certificate[..], &key].concat(), [&key[..], &certificate, &certificate].concat(), certificate]
}

fn check(input: &[u8], _: &mut Dice) {
    for authority in [None, Some(input)] {
        if let Err(reason) = tls::acceptor(input, input, authority) {
            let part = reason.split(':').next();
            assert!(matches!(part, Some("certificate" | "key" | "client authority")), "{reason}");
        }
    }
}
