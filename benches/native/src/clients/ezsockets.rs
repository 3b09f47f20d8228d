//! ezsockets: its callback for text, which does nothing but count.

use super::{AUTH, Meter, is_last};
use async_trait::async_trait;
use ezsockets::{Bytes, Client, ClientConfig, ClientExt, Error, Utf8Bytes};
use std::hint::black_box;

pub const NAME: &str = "ezsockets, on_text";

struct Count {
    handle: Client<Count>,
    meter: Meter,
    greeted: bool,
    events: u64,
}

#[async_trait]
impl ClientExt for Count {
    type Call = ();

    async fn on_connect(&mut self) -> Result<(), Error> {
        self.handle.text(AUTH).map(drop).map_err(Into::into)
    }

    async fn on_text(&mut self, text: Utf8Bytes) -> Result<(), Error> {
        if !self.greeted {
            self.greeted = true;
            self.meter.start();
        } else if is_last(&text) {
            self.meter.finish(self.events, 0);
        } else {
            black_box(&text);
            self.events += 1;
        }
        Ok(())
    }

    async fn on_binary(&mut self, _: Bytes) -> Result<(), Error> {
        Ok(())
    }

    async fn on_call(&mut self, (): ()) -> Result<(), Error> {
        Ok(())
    }
}

pub async fn run(url: &str) {
    let make = |handle| Count { handle, meter: Meter::default(), greeted: false, events: 0 };
    let (_handle, ended) = ezsockets::connect(make, ClientConfig::new(url)).await;
    ended.await.expect("no error");
    panic!("the server left");
}
