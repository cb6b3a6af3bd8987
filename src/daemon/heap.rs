//! Gives memory back to the system that loading has used and let go of.
//!
//! Reading 100,000 devices takes several times the memory that they need once they are read. The
//! allocator of glibc keeps what is freed in the middle of its heap until it is asked.

/// Returns what is free to the system. Costs some milliseconds.
pub fn trim() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: malloc_trim takes the locks of the allocator itself and changes nothing in use.
    unsafe {
        nix::libc::malloc_trim(0);
    }
}
