//! Servers that say hello and end the connection, again and again: the client does not dial them for ever (S0-10).

use super::{
    peer::{HELLO, soon},
    wire::{CLOSE, Wire, frame},
};
use everwire::{Cause, ClientBuilder, Dialect, ErrorKind};

/// How a server ends each connection.
#[derive(Clone, Copy, Debug)]
enum End {
    TooLarge,
    Close,
    Reset,
}

fn builder(wire: &Wire, dialect: Dialect) -> ClientBuilder {
    let builder = wire.builder(dialect).max_message_size(1_000).param("api_key", "key").param("user_id", "alice");
    builder.token("any")
}

#[tokio::test]
async fn a_server_that_ends_each_connection_after_the_hello_is_given_up() {
    for dialect in [Dialect::stream(), Dialect::raw()] {
        for (end, kind) in
            [(End::TooLarge, ErrorKind::TooLarge), (End::Close, ErrorKind::Closed), (End::Reset, ErrorKind::Closed)]
        {
            let has_hello = dialect.hello.is_some();
            let wire = Wire::open().await;
            let client = builder(&wire, dialect.clone()).build().expect("the settings are right");
            client.connect().expect("idle");
            let serve = async {
                loop {
                    let mut peer = wire.accept().await;
                    if has_hello {
                        peer.frame().await;
                        peer.text(HELLO).await;
                    }
                    match end {
                        End::TooLarge => peer.text(&format!("\"{}\"", "x".repeat(2_000))).await,
                        End::Close => peer.write(&frame(CLOSE, true, &1011_u16.to_be_bytes())).await,
                        End::Reset => {}
                    }
                    if !matches!(end, End::Reset) {
                        peer.gone().await;
                    }
                }
            };
            let cause = tokio::select! {
                cause = soon(client.closed()) => cause,
                () = serve => unreachable!(),
            };
            let case = format!("{} {end:?}", dialect.name);
            assert!(matches!(&cause, Cause::Exhausted(error) if error.kind() == kind), "{case}: {cause}");
            assert_eq!((client.stats().dials, client.stats().connects), (5, 5), "{case}");
        }
    }
}
