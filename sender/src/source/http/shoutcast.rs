//! Servers that speak a dialect of HTTP.

use ureq::unversioned::transport::{Buffers, ConnectionDetails, Connector, NextTimeout, Transport};

/// Servers of the first Shoutcast answer "ICY 200 OK", which is HTTP but for its name.
#[derive(Debug)]
pub(super) struct Shoutcast;

impl Connector<Box<dyn Transport>> for Shoutcast {
    type Out = Renamed;

    fn connect(
        &self,
        _: &ConnectionDetails<'_>,
        chained: Option<Box<dyn Transport>>,
    ) -> Result<Option<Renamed>, ureq::Error> {
        Ok(chained.map(|inner| Renamed { inner, begun: false }))
    }
}

/// A connection whose first word is made `HTTP/1.0`.
#[derive(Debug)]
pub(super) struct Renamed {
    inner: Box<dyn Transport>,
    begun: bool,
}

impl Transport for Renamed {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.inner.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        self.begun = false;
        self.inner.transmit_output(amount, timeout)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        let more = self.inner.await_input(timeout)?;
        let buffers = self.inner.buffers();
        if self.begun || buffers.input().len() < 4 {
            return Ok(more);
        }
        self.begun = true;
        if let Some(rest) = buffers.input().strip_prefix(b"ICY").map(<[u8]>::to_vec) {
            buffers.input_consume(rest.len() + 3);
            let renamed = [b"HTTP/1.0", &rest[..]].concat();
            let room = buffers.input_append_buf();
            let fits = renamed.len().min(room.len());
            room[..fits].copy_from_slice(&renamed[..fits]);
            buffers.input_appended(fits);
        }
        Ok(more)
    }

    fn is_open(&mut self) -> bool {
        self.inner.is_open()
    }

    fn is_tls(&self) -> bool {
        self.inner.is_tls()
    }
}
