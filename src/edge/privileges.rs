//! Who the process is: started by root, it serves as a user without any privilege.
//!
//! From its first moment all files are opened and made as that user; root comes back for the one thing that needs it,
//! ports below 1024, and is gone for good before the first call. The C library's calls are used because they change all
//! threads of the process; the kernel knows ids by thread.

use std::ffi::CString;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::{fmt, fs};

use nix::errno::Errno;
use nix::unistd::{Gid, Group, Uid, User, geteuid, getgrouplist, seteuid, setgroups, setresgid, setresuid};
use rustix::process::{Resource, Rlimit, setrlimit};

/// `RLIMIT_NICE` that lets the media thread prefer itself, to a nice value of -10 (getrlimit(2): 20 minus the value).
const NICE_LIMIT: u64 = 30;

/// The user to serve as, with all groups.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ServeAs {
    name: String,
    uid: Uid,
    gid: Gid,
    groups: Vec<Gid>,
}

/// What keeps the process from serving as another user.
#[derive(Debug)]
pub enum PrivilegeError {
    /// No such user.
    NoUser(String),
    /// No such group.
    NoGroup(String),
    /// The user is root: nothing would be dropped.
    Root,
    /// Only root may become someone else.
    NotRoot(String),
    /// The data folder belongs to somebody else.
    Owner {
        /// The folder, or what is in it.
        path: PathBuf,
        /// The folder.
        dir: PathBuf,
        /// The user to serve as.
        name: String,
    },
    /// A file cannot be looked at, or the folder not be made.
    File(PathBuf, io::Error),
    /// The system refused.
    System(&'static str, Errno),
    /// The way back to root is still open.
    NotGone,
}

impl fmt::Display for PrivilegeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoUser(name) => write!(f, "--user: there is no user {name:?}; `useradd --system {name}` makes one"),
            Self::NoGroup(name) => write!(f, "--user: there is no group {name:?}"),
            Self::Root => f.write_str("--user: this is root, from whom nothing would be taken; name another one"),
            Self::NotRoot(name) => {
                write!(f, "--user {name}: only root may become {name}; start it as root, or as {name}")
            }
            Self::Owner { path, dir, name } => {
                let (path, dir) = (path.display(), dir.display());
                write!(
                    f,
                    "{path} does not belong to {name}; `chown --recursive --no-dereference {name} {dir}` changes that"
                )
            }
            Self::File(path, source) => write!(f, "{}: {source}", path.display()),
            Self::System(call, errno) => write!(f, "{call}: {}", errno.desc()),
            Self::NotGone => f.write_str("the system did not take root's rights away"),
        }
    }
}

impl std::error::Error for PrivilegeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::File(_, source) => Some(source),
            Self::System(_, errno) => Some(errno),
            _ => None,
        }
    }
}

impl ServeAs {
    /// Looks up `USER` or `USER:GROUP`, and the user's further groups.
    ///
    /// # Errors
    /// [`PrivilegeError::NoUser`], [`PrivilegeError::NoGroup`], [`PrivilegeError::Root`], [`PrivilegeError::System`].
    pub fn find(text: &str) -> Result<Self, PrivilegeError> {
        let (name, group) = text.split_once(':').map_or((text, None), |(name, group)| (name, Some(group)));
        let no_user = || PrivilegeError::NoUser(name.to_owned());
        let user = User::from_name(name).map_err(system("getpwnam"))?.ok_or_else(no_user)?;
        let gid = match group {
            None => user.gid,
            Some(group) => {
                let found = Group::from_name(group).map_err(system("getgrnam"))?;
                found.ok_or_else(|| PrivilegeError::NoGroup(group.to_owned()))?.gid
            }
        };
        if user.uid.is_root() {
            return Err(PrivilegeError::Root);
        }
        let c_name = CString::new(name).map_err(|_| no_user())?;
        let groups = getgrouplist(&c_name, gid).map_err(system("getgrouplist"))?;
        Ok(Self { name: name.to_owned(), uid: user.uid, gid, groups })
    }

    /// Makes the data folder if there is none, and becomes the user, but for the way back. Nothing where the process is
    /// that user already: then a supervisor has done all this.
    ///
    /// # Errors
    /// [`PrivilegeError::NotRoot`], [`PrivilegeError::Owner`], [`PrivilegeError::File`], [`PrivilegeError::System`].
    pub fn begin(self, data_dir: &Path) -> Result<Option<Privileges>, PrivilegeError> {
        let now = geteuid();
        if now == self.uid {
            return Ok(None);
        }
        if !now.is_root() {
            return Err(PrivilegeError::NotRoot(self.name));
        }
        self.own(data_dir)?;
        // As root, and for all threads to come: no program that is run gets more rights than its caller, and the media
        // thread may prefer itself.
        rustix::thread::set_no_new_privs(true)
            .map_err(|e| PrivilegeError::System("no_new_privs", Errno::from_i32(e.raw_os_error())))?;
        if let Err(error) = setrlimit(Resource::Nice, Rlimit { current: Some(NICE_LIMIT), maximum: Some(NICE_LIMIT) }) {
            log::debug!("the limit of nice values stays as it is: {error}");
        }
        setgroups(&self.groups).map_err(system("setgroups"))?;
        setresgid(self.gid, self.gid, self.gid).map_err(system("setresgid"))?;
        setresuid(self.uid, self.uid, Uid::from_raw(0)).map_err(system("setresuid"))?;
        Ok(Some(Privileges(self)))
    }

    /// Makes the folder where there is none; else it and what is directly in it must be the user's already. Whatever
    /// belongs to somebody else is never given away: a link could lead anywhere. The folder itself may be a link that root
    /// or the user made; then it is about where that leads.
    fn own(&self, dir: &Path) -> Result<(), PrivilegeError> {
        let file = |source| PrivilegeError::File(dir.to_owned(), source);
        if !dir.try_exists().map_err(file)? {
            // Folders above it are nobody's in particular; as root's own they would keep the user out.
            if let Some(above) = dir.parent().filter(|above| !above.as_os_str().is_empty()) {
                DirBuilder::new().recursive(true).mode(0o755).create(above).map_err(file)?;
            }
            DirBuilder::new().mode(0o700).create(dir).map_err(file)?;
            return std::os::unix::fs::chown(dir, Some(self.uid.as_raw()), Some(self.gid.as_raw())).map_err(file);
        }
        let link = fs::symlink_metadata(dir).map_err(file)?;
        let ours = [Uid::from_raw(0), self.uid].contains(&Uid::from_raw(link.uid()));
        let dir = if link.is_symlink() && ours { fs::canonicalize(dir).map_err(file)? } else { dir.to_owned() };
        let inside = fs::read_dir(&dir).map_err(file)?.map(|entry| entry.map(|entry| entry.path()));
        for path in std::iter::once(Ok(dir.clone())).chain(inside) {
            let path = path.map_err(file)?;
            let found = fs::symlink_metadata(&path).map_err(file)?;
            if found.uid() != self.uid.as_raw() {
                return Err(PrivilegeError::Owner { path, dir, name: self.name.clone() });
            }
        }
        Ok(())
    }
}

/// The user, with a way back to root until [`Privileges::drop_for_good`].
#[derive(Debug)]
pub struct Privileges(ServeAs);

impl Privileges {
    /// Does as root what needs it, and is the user again.
    ///
    /// # Errors
    /// [`PrivilegeError::System`]. Nothing should go on then.
    pub fn as_root<T>(&self, act: impl FnOnce() -> T) -> Result<T, PrivilegeError> {
        seteuid(Uid::from_raw(0)).map_err(system("seteuid"))?;
        let done = act();
        seteuid(self.0.uid).map_err(system("seteuid"))?;
        Ok(done)
    }

    /// Closes the way back, and tries it.
    ///
    /// # Errors
    /// [`PrivilegeError::System`], [`PrivilegeError::NotGone`].
    pub fn drop_for_good(self) -> Result<(), PrivilegeError> {
        let uid = self.0.uid;
        setresuid(uid, uid, uid).map_err(system("setresuid"))?;
        if seteuid(Uid::from_raw(0)).is_ok() {
            return Err(PrivilegeError::NotGone);
        }
        log::info!("serving as {}, without privileges", self.0.name);
        Ok(())
    }
}

/// For `map_err`.
fn system(call: &'static str) -> impl FnOnce(Errno) -> PrivilegeError {
    move |errno| PrivilegeError::System(call, errno)
}
