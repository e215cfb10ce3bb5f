//! Groups of a user as the image's own `/etc/passwd` and `/etc/group` tell.
//!
//! Read inside the container's root: a static binary cannot use the host's name service, and should not.

use std::path::Path;

use super::beneath::read_in_root;

/// Nobody's account files are longer.
const FILE_MAX: u64 = 1024 * 1024;

/// What an image tells of a user.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Account {
    /// The group in /etc/passwd.
    pub(crate) primary_gid: Option<u32>,
    /// The groups in /etc/group that name the user.
    pub(crate) supplementary_gids: Vec<u32>,
}

/// The user of this uid; nothing is told when the files are absent or strange.
pub(crate) fn account(rootfs: &Path, uid: u32) -> Account {
    let read = |path| {
        read_in_root(rootfs, Path::new(path), FILE_MAX)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    };
    match user(&read("/etc/passwd"), uid) {
        Some((name, gid)) => Account {
            primary_gid: Some(gid),
            supplementary_gids: groups(&read("/etc/group"), &name),
        },
        None => Account::default(),
    }
}

fn user(passwd: &str, uid: u32) -> Option<(String, u32)> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let number: u32 = fields.nth(1)?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        (number == uid && !name.is_empty()).then(|| (name.to_owned(), gid))
    })
}

fn groups(group: &str, user: &str) -> Vec<u32> {
    group
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(':');
            let gid: u32 = fields.nth(2)?.parse().ok()?;
            let members = fields.next()?;
            members
                .split(',')
                .any(|member| member.trim() == user)
                .then_some(gid)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_users_groups_are_those_that_list_the_name() {
        let passwd = "root:x:0:0::/:/bin/sh\nweb:x:33:34::/:/bin/sh\nbroken\n";
        let group = "root:x:0:\nvideo:x:44:joe,web\nweb:x:33:\naudio:x:29:webber\nbad:x:y:web\n";
        assert_eq!(user(passwd, 33), Some(("web".into(), 34)));
        assert_eq!(user(passwd, 35), None);
        assert_eq!(groups(group, "web"), [44]);
    }

    #[test]
    fn an_image_without_accounts_has_no_groups() {
        let rootfs = tempfile::tempdir().unwrap();
        assert!(account(rootfs.path(), 0) == Account::default());
    }
}
