//! Sockets in the file system, and the files by which clients find them.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, Mode, fchmod, flock};
use socket2::{Domain, SockAddr, Type};

/// Listens at `path`, with its file's permissions `mode` and room for `backlog` connections that wait. A file that a
/// process left behind which listens no more is replaced.
pub(super) fn listen(path: &Path, mode: u32, backlog: i32) -> io::Result<(UnixListener, SocketFile)> {
    let _lock = lock_folder(path)?;
    remove_unused(path)?;
    let socket = socket2::Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // The file is made with what the socket has, less what the process takes from new files: never more than wanted.
    fchmod(&socket, Mode::from_raw_mode(mode))?;
    socket.bind(&SockAddr::unix(path)?)?;
    std::fs::set_permissions(path, PermissionsExt::from_mode(mode))?;
    socket.listen(backlog)?;
    let file = SocketFile { path: path.to_owned(), identity: identity(path)? };
    Ok((OwnedFd::from(socket).into(), file))
}

/// A place beside `path` that is this process's alone.
pub(super) fn beside(path: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{}", std::process::id()));
    path.with_file_name(name)
}

/// Has other processes wait that change sockets' files in the folder of `path`, until the result is dropped.
fn lock_folder(path: &Path) -> io::Result<File> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let folder = File::open(folder)?;
    flock(&folder, FlockOperation::LockExclusive)?;
    Ok(folder)
}

/// Removes the socket at `path` that no process listens on.
fn remove_unused(path: &Path) -> io::Result<()> {
    match std::fs::symlink_metadata(path) {
        Ok(metadata) if metadata.file_type().is_socket() => {}
        Ok(_) => return Err(io::Error::new(io::ErrorKind::AlreadyExists, "a file that is no socket is there")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    }
    let client = socket2::Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // Where many wait to be accepted, one more does not.
    client.set_nonblocking(true)?;
    match client.connect(&SockAddr::unix(path)?) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => std::fs::remove_file(path),
        Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
        _ => Err(io::ErrorKind::AddrInUse.into()),
    }
}

/// The file of a socket that listens; removed when dropped, unless another has taken its place. To be dropped while the
/// socket listens: later the file may be that of a process that follows.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

impl SocketFile {
    /// Moves it to `path`, in the same folder, in the place of what is there.
    pub(super) fn rename(&mut self, path: &Path) -> io::Result<()> {
        let _lock = lock_folder(path)?;
        std::fs::rename(&self.path, path)?;
        path.clone_into(&mut self.path);
        Ok(())
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Without the lock, a process that follows may put its file there just now.
        let _lock = lock_folder(&self.path);
        if identity(&self.path).is_ok_and(|now| now == self.identity) {
            // A file that stays is removed by the next start.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    std::fs::symlink_metadata(path).map(|metadata| (metadata.dev(), metadata.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKLOG: i32 = 16;

    #[test]
    fn a_socket_file_has_its_mode_is_not_taken_from_who_listens_and_goes_with_its_owner() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        let listen = || super::listen(&path, 0o606, BACKLOG);
        let (bound, file) = listen().unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o606);
        assert_eq!(listen().unwrap_err().kind(), io::ErrorKind::AddrInUse);
        // However many wait already.
        let connect = || {
            let client = socket2::Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
            client.set_nonblocking(true).unwrap();
            client.connect(&SockAddr::unix(&path).unwrap()).map(|()| client)
        };
        let crowd: Vec<_> = std::iter::from_fn(|| connect().ok()).take(BACKLOG as usize + 1).collect();
        assert_eq!(listen().unwrap_err().kind(), io::ErrorKind::AddrInUse);
        drop(crowd);
        drop((bound, file));
        assert!(!path.exists());
        // A file that was left behind is replaced.
        let (bound, left) = listen().unwrap();
        drop(bound);
        std::mem::forget(left);
        assert!(path.exists());
        let (_old, old_file) = listen().unwrap();
        // A file that another process put in its place is not removed.
        let (_new, mut new_file) = super::listen(&beside(&path), 0o600, BACKLOG).unwrap();
        new_file.rename(&path).unwrap();
        drop(old_file);
        assert!(path.exists() && !beside(&path).exists());
        drop(new_file);
        assert!(!path.exists());
        std::fs::write(&path, "data").unwrap();
        assert_eq!(listen().unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read(&path).unwrap(), b"data");
    }
}
