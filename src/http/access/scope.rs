//! Scopes: what a caller may ask for.

use std::fmt;

/// A part of the API, as scopes of keys divide it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Lookups by path, and batches of them.
    Lookup,
    /// Pages and facets.
    List,
    /// Changes, and streams of them.
    Feed,
}

impl Scope {
    const ALL: [Scope; 3] = [Scope::Lookup, Scope::List, Scope::Feed];

    /// Its name in files of keys and in problems.
    pub fn name(self) -> &'static str {
        match self {
            Scope::Lookup => "lookup",
            Scope::List => "list",
            Scope::Feed => "feed",
        }
    }
}

/// A set of scopes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scopes(u8);

impl Scopes {
    /// Every scope.
    pub const ALL: Scopes = Scopes((1 << Scope::ALL.len()) - 1);

    /// Reads `lookup,list,feed`. The error is the name that is no scope.
    pub fn parse(text: &str) -> Result<Scopes, &str> {
        text.split(',').try_fold(Scopes(0), |scopes, name| {
            let scope = Scope::ALL.into_iter().find(|scope| scope.name() == name).ok_or(name)?;
            Ok(Scopes(scopes.0 | 1 << scope as u8))
        })
    }

    /// True if `scope` is one of them.
    pub fn has(self, scope: Scope) -> bool {
        self.0 & 1 << scope as u8 != 0
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = Scope::ALL.into_iter().filter(|scope| self.has(*scope)).map(Scope::name).collect();
        f.write_str(&names.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_has_what_its_list_names() {
        let scopes = Scopes::parse("feed,lookup").unwrap();
        assert!(scopes.has(Scope::Lookup) && scopes.has(Scope::Feed) && !scopes.has(Scope::List));
        assert_eq!(scopes.to_string(), "lookup,feed");
        assert_eq!(Scopes::parse("lookup,list,feed"), Ok(Scopes::ALL));
        for (wrong, name) in [("", ""), ("lookup,", ""), ("Lookup", "Lookup"), ("list,all", "all")] {
            assert_eq!(Scopes::parse(wrong), Err(name));
        }
    }
}
