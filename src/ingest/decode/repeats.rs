//! Keys that stand twice in an object.

use super::json::{Bounds, Fault, Scanner};

/// The same object without the members that a later one of the same name replaces, at every depth outside lists:
/// Python and JavaScript let the last one win. `text` must have been read without a fault.
pub(super) fn last_wins(text: &str, bounds: Bounds) -> Result<String, Fault> {
    fn copy(scanner: &mut Scanner<'_>, out: &mut String) -> Result<(), Fault> {
        if scanner.peek() != b'{' {
            out.push_str(scanner.raw()?);
            return Ok(());
        }
        let mut members: Vec<Option<String>> = Vec::new();
        let mut places = hashbrown::HashMap::<String, usize>::new();
        let mut more = scanner.open_object()?;
        while more {
            let (key, raw) = scanner.key()?;
            let mut member = format!("\"{}:", String::from_utf8_lossy(raw));
            copy(scanner, &mut member)?;
            if let Some(earlier) = places.insert(key.into_owned(), members.len()) {
                members[earlier] = None;
            }
            members.push(Some(member));
            more = scanner.next_member()?;
        }
        out.push('{');
        for (i, member) in members.into_iter().flatten().enumerate() {
            out.push_str(if i > 0 { "," } else { "" });
            out.push_str(&member);
        }
        out.push('}');
        Ok(())
    }
    let mut out = String::with_capacity(text.len());
    copy(&mut Scanner::new(text, bounds), &mut out)?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expect: &str) {
        let bounds = Bounds {
            depth: 9,
            members: 9,
        };
        assert_eq!(last_wins(text, bounds).as_deref(), Ok(expect), "{text}");
    }

    #[test]
    fn the_last_member_of_a_name_stays() {
        check("{ }", "{}");
        check(r#"{"a":1,"b":2,"a":3}"#, r#"{"b":2,"a":3}"#);
        check(r#"{"a":1,"\u0061":2}"#, r#"{"\u0061":2}"#);
        check(
            r#"{"a":{"b":1,"b":NaN},"c":[{"d":1,"d":2}]}"#,
            r#"{"a":{"b":NaN},"c":[{"d":1,"d":2}]}"#,
        );
    }
}
