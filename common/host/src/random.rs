//! Numbers that nobody can guess, from the kernel.

/// A random number from the kernel's generator.
///
/// Blocks only in the first moments after boot, before the kernel has gathered entropy.
pub fn number() -> u64 {
    let mut bytes = [0_u8; 8];
    let mut filled = 0;
    while filled < bytes.len() {
        let rest = &mut bytes[filled..];
        // SAFETY: the pointer and length describe `rest`, which outlives the call.
        let got = unsafe { libc::getrandom(rest.as_mut_ptr().cast(), rest.len(), 0) };
        // The only failure left for a small valid buffer is a signal before the pool is ready: ask again.
        filled += usize::try_from(got).unwrap_or(0);
    }
    u64::from_ne_bytes(bytes)
}

/// A random number that is not zero, for identities in which zero means "none".
pub fn nonzero_u32() -> u32 {
    loop {
        let number = (number() >> 32) as u32;
        if number != 0 {
            return number;
        }
    }
}
