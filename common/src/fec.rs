//! Forward error correction across packets: columns as in SMPTE 2022-1 (the parity of RFC 2733 with its own header).
//!
//! The stream's packets are laid out in a matrix, row by row, `columns` wide and `rows` high; each column has a parity
//! packet. So any one loss in a column is computed from the others, and a burst of up to `columns` packets is one loss in
//! each column. It costs one packet in `rows`, and the time of a matrix: for links where asking takes too long. Parity
//! travels in a session of its own, and says nothing of the stream's numbering before its first packet: a receiver may
//! begin anywhere.

use crate::rtp::{self, HEADER_LEN, Header, Packet, RtpError};

/// RTP payload type of parity packets (SMPTE 2022-1 section 7.2).
pub const PAYLOAD_TYPE: u8 = 96;

/// Bytes of the header behind RTP's own.
pub const FEC_HEADER_LEN: usize = 16;

/// The longest parity packet.
pub const MAX_PACKET: usize = rtp::MAX_PACKET + FEC_HEADER_LEN;

/// Packets in a matrix, at most (section 6.1).
pub const MOST_PACKETS: usize = 100;

/// Packets that a receiver keeps to compute others from; more than two matrices.
const KEPT: usize = 256;

/// How many packets ago a matrix may have begun.
const OLDEST: i16 = KEPT as i16 - 40;

/// Parity packets that wait for what is missing.
const MOST_WAITING: usize = 64;

/// The shape of a matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Matrix {
    /// Columns, 1 to 20: the longest burst that can be mended.
    pub columns: u8,
    /// Rows, 4 to 20: one parity packet for so many.
    pub rows: u8,
}

impl Matrix {
    /// A matrix that the standard allows.
    pub fn new(columns: u8, rows: u8) -> Option<Self> {
        let fits = (1..=20).contains(&columns) && (4..=20).contains(&rows);
        (fits && usize::from(columns) * usize::from(rows) <= MOST_PACKETS).then_some(Matrix { columns, rows })
    }

    fn packets(self) -> u16 {
        u16::from(self.columns) * u16::from(self.rows)
    }
}

/// Makes the parity packets of one stream.
#[derive(Clone, Debug)]
pub struct Encoder {
    matrix: Matrix,
    ssrc: u32,
    columns: Vec<Parity>,
    /// Number of the matrix's first packet, and of the packet that comes next.
    base: u16,
    next: Option<u16>,
    sequence: u16,
    out: Box<[u8; MAX_PACKET]>,
}

/// The sum of packets: what of RTP's header may differ, and the payloads.
#[derive(Clone, Debug)]
struct Parity {
    length: u16,
    payload_type: u8,
    timestamp: u32,
    longest: usize,
    payload: Box<[u8; rtp::MAX_PACKET]>,
}

impl Encoder {
    /// For the stream of `ssrc`.
    pub fn new(matrix: Matrix, ssrc: u32) -> Self {
        Encoder {
            matrix,
            ssrc,
            columns: vec![Parity::new(); usize::from(matrix.columns)],
            base: 0,
            next: None,
            sequence: 0,
            out: Box::new([0; MAX_PACKET]),
        }
    }

    /// Takes in a packet as it is sent; the parity packet that is complete by it, if one is.
    ///
    /// Packets that were left out begin a new matrix: what was not sent has no parity.
    pub fn push(&mut self, packet: &[u8]) -> Option<&[u8]> {
        let Packet { header, payload, .. } = Packet::parse(packet).ok()?;
        if self.next != Some(header.sequence) || header.sequence.wrapping_sub(self.base) >= self.matrix.packets() {
            self.base = header.sequence;
            self.columns.iter_mut().for_each(Parity::clear);
        }
        self.next = Some(header.sequence.wrapping_add(1));
        let place = header.sequence.wrapping_sub(self.base);
        let column = place % u16::from(self.matrix.columns);
        self.columns[usize::from(column)].add(&header, payload);
        let last_row = place / u16::from(self.matrix.columns) + 1 == u16::from(self.matrix.rows);
        last_row.then(|| self.parity(column, header.timestamp)).flatten()
    }

    fn parity(&mut self, column: u16, timestamp: u32) -> Option<&[u8]> {
        let parity = &self.columns[usize::from(column)];
        let length = HEADER_LEN + FEC_HEADER_LEN + parity.longest;
        let out = self.out.get_mut(..length)?;
        Header { payload_type: PAYLOAD_TYPE, sequence: self.sequence, timestamp, ssrc: self.ssrc }.write(out).ok()?;
        self.sequence = self.sequence.wrapping_add(1);
        let fec = &mut out[HEADER_LEN..];
        fec[..2].copy_from_slice(&self.base.wrapping_add(column).to_be_bytes());
        fec[2..4].copy_from_slice(&parity.length.to_be_bytes());
        // E: the header has its second half.
        fec[4] = 0x80 | parity.payload_type;
        fec[5..8].fill(0);
        fec[8..12].copy_from_slice(&parity.timestamp.to_be_bytes());
        // X 0, D 0 (columns), type 0 (XOR), index 0.
        fec[12] = 0;
        fec[13] = self.matrix.columns;
        fec[14] = self.matrix.rows;
        fec[15] = 0;
        fec[FEC_HEADER_LEN..].copy_from_slice(&parity.payload[..parity.longest]);
        Some(out)
    }
}

impl Parity {
    fn new() -> Self {
        Parity { length: 0, payload_type: 0, timestamp: 0, longest: 0, payload: Box::new([0; rtp::MAX_PACKET]) }
    }

    fn clear(&mut self) {
        (self.length, self.payload_type, self.timestamp) = (0, 0, 0);
        self.payload[..self.longest].fill(0);
        self.longest = 0;
    }

    fn add(&mut self, header: &Header, payload: &[u8]) {
        self.length ^= payload.len() as u16;
        self.payload_type ^= header.payload_type;
        self.timestamp ^= header.timestamp;
        self.longest = self.longest.max(payload.len()).min(rtp::MAX_PACKET);
        for (sum, byte) in self.payload.iter_mut().zip(payload) {
            *sum ^= byte;
        }
    }
}

/// Why bytes are no parity packet that we can use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FecError {
    /// No RTP.
    #[error(transparent)]
    Rtp(#[from] RtpError),
    /// Another payload type, or too short.
    #[error("FEC: payload type {0} instead of {PAYLOAD_TYPE}, or too short")]
    NotParity(u8),
    /// Rows, or anything but plain parity: not asked for.
    #[error("FEC: no parity of columns")]
    Unknown,
}

/// A parity packet as it came.
#[derive(Clone, Debug)]
struct Waiting {
    /// Number of the first packet, and which ones follow it.
    base: u16,
    offset: u16,
    count: u16,
    parity: Parity,
}

impl Waiting {
    fn parse(bytes: &[u8]) -> Result<Self, FecError> {
        let packet = Packet::parse(bytes)?;
        let payload_type = packet.header.payload_type;
        let (&fec, payload) =
            packet.payload.split_first_chunk::<FEC_HEADER_LEN>().ok_or(FecError::NotParity(payload_type))?;
        if payload_type != PAYLOAD_TYPE || payload.len() > rtp::MAX_PACKET {
            return Err(FecError::NotParity(payload_type));
        }
        let [b0, b1, l0, l1, pt, m0, m1, m2, t0, t1, t2, t3, kind, offset, count, _] = fec;
        let matrix = Matrix::new(offset, count).ok_or(FecError::Unknown)?;
        if [m0, m1, m2] != [0; 3] || kind & 0x7f != 0 {
            return Err(FecError::Unknown);
        }
        let mut parity = Parity::new();
        parity.length = u16::from_be_bytes([l0, l1]);
        parity.payload_type = pt & 0x7f;
        parity.timestamp = u32::from_be_bytes([t0, t1, t2, t3]);
        parity.longest = payload.len();
        parity.payload[..payload.len()].copy_from_slice(payload);
        let (offset, count) = (u16::from(matrix.columns), u16::from(matrix.rows));
        Ok(Waiting { base: u16::from_be_bytes([b0, b1]), offset, count, parity })
    }

    fn numbers(&self) -> impl Iterator<Item = u16> + use<> {
        let (base, offset) = (self.base, self.offset);
        (0..self.count).map(move |row| base.wrapping_add(row * offset))
    }
}

/// A packet that was computed from others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Computed<'a> {
    /// Its sequence number.
    pub sequence: u16,
    /// Its payload type.
    pub payload_type: u8,
    /// Its RTP timestamp.
    pub timestamp: u32,
    /// Its payload.
    pub payload: &'a [u8],
}

/// Computes lost packets of one stream from parity and from those that came.
#[derive(Debug)]
pub struct Decoder {
    kept: Vec<Kept>,
    waiting: Vec<Waiting>,
    newest: Option<u16>,
    computed: Parity,
}

/// A packet of the stream.
#[derive(Clone, Debug)]
struct Kept {
    header: Option<Header>,
    length: usize,
    payload: Box<[u8; rtp::MAX_PACKET]>,
}

impl Default for Decoder {
    fn default() -> Self {
        let kept = Kept { header: None, length: 0, payload: Box::new([0; rtp::MAX_PACKET]) };
        Decoder {
            kept: vec![kept; KEPT],
            waiting: Vec::with_capacity(MOST_WAITING),
            newest: None,
            computed: Parity::new(),
        }
    }
}

impl Decoder {
    /// A packet of the stream came.
    pub fn stream(&mut self, header: &Header, payload: &[u8]) {
        if payload.len() > rtp::MAX_PACKET {
            return;
        }
        let kept = &mut self.kept[usize::from(header.sequence) % KEPT];
        (kept.header, kept.length) = (Some(*header), payload.len());
        kept.payload[..payload.len()].copy_from_slice(payload);
        if self.newest.is_none_or(|newest| header.sequence.wrapping_sub(newest) as i16 > 0) {
            self.newest = Some(header.sequence);
        }
    }

    /// A parity packet came.
    pub fn parity(&mut self, bytes: &[u8]) -> Result<(), FecError> {
        let waiting = Waiting::parse(bytes)?;
        if self.waiting.len() == MOST_WAITING {
            self.waiting.remove(0);
        }
        self.waiting.push(waiting);
        Ok(())
    }

    /// The next packet that can be computed from what is here, if one can. Call until there is none.
    pub fn compute(&mut self) -> Option<Computed<'_>> {
        let Decoder { kept, waiting, newest, .. } = self;
        let here = |sequence: &u16| kept[usize::from(*sequence) % KEPT].header.is_some_and(|h| h.sequence == *sequence);
        let missing = |waiting: &Waiting| waiting.numbers().filter(|sequence| !here(sequence)).count();
        // Of older ones some of the others are no longer kept.
        let fresh =
            |waiting: &Waiting| newest.is_some_and(|newest| (newest.wrapping_sub(waiting.base) as i16) < OLDEST);
        waiting.retain(|waiting| fresh(waiting) && missing(waiting) > 0);
        let at = waiting.iter().position(|waiting| missing(waiting) == 1)?;
        let waiting = waiting.swap_remove(at);
        let lost = waiting.numbers().find(|sequence| !here(sequence))?;
        let mut sum = waiting.parity.clone();
        let mut ssrc = 0;
        for sequence in waiting.numbers().filter(|sequence| *sequence != lost) {
            let kept = &self.kept[usize::from(sequence) % KEPT];
            let header = kept.header.as_ref()?;
            ssrc = header.ssrc;
            sum.add(header, &kept.payload[..kept.length]);
        }
        let Parity { length, payload_type, timestamp, .. } = sum;
        // Parity of another stream, or a forger's: it adds up to nonsense.
        if usize::from(length) > sum.longest {
            return None;
        }
        self.computed = sum;
        let payload = &self.computed.payload[..usize::from(length)];
        let header = Header { payload_type, sequence: lost, timestamp, ssrc };
        let kept = &mut self.kept[usize::from(lost) % KEPT];
        (kept.header, kept.length) = (Some(header), payload.len());
        kept.payload[..payload.len()].copy_from_slice(payload);
        Some(Computed { sequence: lost, payload_type, timestamp, payload })
    }

    /// Another source: nothing of the old one belongs to it.
    pub fn restart(&mut self) {
        self.kept.iter_mut().for_each(|kept| kept.header = None);
        self.waiting.clear();
        self.newest = None;
    }
}

#[cfg(test)]
mod tests;
