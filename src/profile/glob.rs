//! `*` and `?` in names.

/// Whether `name` matches `pattern`: `*` stands for any text, also none, `?` for any one character, everything else
/// for itself. There is no escape. Takes at most `pattern` × `name` steps.
///
/// ```
/// use driftline::profile::glob;
/// assert!(glob::matches("weather_*", "weather_temp"));
/// assert!(!glob::matches("weather_?", "weather_temp"));
/// ```
pub fn matches(pattern: &str, name: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    let (mut p, mut n) = (0, 0);
    // Where the last star stood, and how much of the name it has taken so far.
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(&c) if c == '?' || c == name[n] => {
                p += 1;
                n += 1;
            }
            _ => match star {
                Some((at, taken)) => {
                    star = Some((at, taken + 1));
                    p = at + 1;
                    n = taken + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&c| c == '*')
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[track_caller]
    fn check(pattern: &str, matching: &[&str], others: &[&str]) {
        for name in matching {
            assert!(matches(pattern, name), "{pattern} should match {name}");
        }
        for name in others {
            assert!(!matches(pattern, name), "{pattern} should not match {name}");
        }
    }

    #[test]
    fn patterns() {
        check("*", &["", "a", "prediction.label"], &[]);
        check("", &[""], &["a"]);
        check("temp", &["temp"], &["temps", "tem", "Temp", ""]);
        check("a*b", &["ab", "axb", "abb", "a*b"], &["a", "ba", "abc"]);
        check("a?c", &["abc", "aéc"], &["ac", "abbc"]);
        check("*.x.*", &["a.x.b", ".x.", "a.x.x.x"], &["a.x", "x"]);
        check("**a", &["a", "ba"], &["b"]);
    }

    #[test]
    fn many_stars_end_soon() {
        assert!(!matches(&"*a".repeat(50), &"a".repeat(49)));
        assert!(!matches(
            &format!("{}b", "a*".repeat(50)),
            &"a".repeat(5000)
        ));
    }
}
