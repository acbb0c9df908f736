//! Source text as the rules want it: comments and literals blanked out, test code known.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{fs, io};

/// A file of the repository.
pub struct Source {
    /// Path from the repository's root, with `/`.
    pub path: String,
    /// Its lines as they are.
    pub raw: Vec<String>,
    /// Its lines with comments, strings and characters blanked out (Rust files; others as they are).
    pub code: Vec<String>,
    /// Which lines are test code.
    pub test: Vec<bool>,
    /// Modules that the file declares for tests only.
    test_modules: Vec<String>,
}

impl Source {
    /// From a path and a text.
    pub fn parse(path: &str, text: &str) -> Self {
        let raw: Vec<String> = text.lines().map(str::to_owned).collect();
        let masked = if path.ends_with(".rs") { mask(text) } else { text.to_owned() };
        let (regions, test_modules) = test_regions(&masked);
        let mut test = vec![false; raw.len()];
        for (from, to) in regions {
            let (first, last) = (line_of(&masked, from), line_of(&masked, to));
            test.iter_mut().take(last + 1).skip(first).for_each(|t| *t = true);
        }
        if path.starts_with("tests/") || path.contains("/tests/") || path.ends_with("/tests.rs") {
            test.fill(true);
        }
        let mut code: Vec<String> = masked.lines().map(str::to_owned).collect();
        code.resize(raw.len(), String::new());
        Self { path: path.to_owned(), raw, code, test, test_modules }
    }

    /// Lines of code that ships, numbered from 1.
    pub fn shipped(&self) -> impl Iterator<Item = (usize, &str)> {
        self.code.iter().zip(&self.test).enumerate().filter(|(_, (_, test))| !**test).map(|(n, (l, _))| (n + 1, &**l))
    }

    /// Whether all of it is test code.
    pub fn is_test(&self) -> bool {
        self.test.iter().all(|t| *t)
    }

    /// Where the file of a module declared here may be, without `.rs`.
    fn child(&self, module: &str) -> String {
        let path = Path::new(&self.path);
        let folder = path.parent().unwrap_or(Path::new("")).to_string_lossy();
        match path.file_stem().and_then(|s| s.to_str()) {
            Some("mod" | "lib" | "main") | None => format!("{folder}/{module}"),
            Some(stem) => format!("{folder}/{stem}/{module}"),
        }
    }
}

/// Whether `word` stands in `text` as a whole word.
pub fn has_word(text: &str, word: &str) -> bool {
    let of_word = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word).any(|(at, _)| {
        let (before, after) = (&text[..at], &text[at + word.len()..]);
        let open = |edge: Option<char>, own: Option<char>| !(own.is_some_and(of_word) && edge.is_some_and(of_word));
        open(before.chars().next_back(), word.chars().next()) && open(after.chars().next(), word.chars().next_back())
    })
}

/// Every file of the repository whose name ends in one of `endings`, without what is ignored or built.
pub fn load(root: &Path, endings: &[&str]) -> io::Result<Vec<Source>> {
    let mut paths = vec![];
    walk(root, root, &ignored(root)?, &mut paths)?;
    paths.retain(|path| endings.iter().any(|e| path.to_string_lossy().ends_with(e)));
    paths.sort();
    let mut sources = vec![];
    for path in paths {
        let text = fs::read_to_string(root.join(&path))?;
        sources.push(Source::parse(&path.to_string_lossy().replace('\\', "/"), &text));
    }
    spread_tests(&mut sources);
    Ok(sources)
}

/// Names in the root that version control ignores.
pub fn ignored(root: &Path) -> io::Result<BTreeSet<String>> {
    let text = fs::read_to_string(root.join(".gitignore"))?;
    Ok(text.lines().map(|l| l.trim_matches('/').to_owned()).filter(|l| !l.is_empty()).collect())
}

fn walk(root: &Path, folder: &Path, ignored: &BTreeSet<String>, paths: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let build = name == "target" || (folder == root && ignored.contains(&name));
        if build || name == ".git" {
            continue;
        }
        if entry.file_type()?.is_dir() {
            walk(root, &entry.path(), ignored, paths)?;
        } else if let Ok(path) = entry.path().strip_prefix(root) {
            paths.push(path.to_owned());
        }
    }
    Ok(())
}

/// Files of modules declared for tests only are test code, with everything below them.
fn spread_tests(sources: &mut [Source]) {
    let children: Vec<String> = sources.iter().flat_map(|s| s.test_modules.iter().map(|m| s.child(m))).collect();
    for source in sources {
        let of_test =
            |child: &String| source.path == format!("{child}.rs") || source.path.starts_with(&format!("{child}/"));
        if children.iter().any(of_test) {
            source.test.fill(true);
        }
    }
}

fn line_of(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|b| *b == b'\n').count()
}

/// Blanks out comments, strings and character literals, keeping every line at its place.
pub fn mask(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let at = |n: usize| chars.get(n).copied().unwrap_or('\0');
    let mut out = String::with_capacity(text.len());
    let blank = |out: &mut String, range: std::ops::Range<usize>| {
        range.for_each(|n| out.push(if at(n) == '\n' { '\n' } else { ' ' }));
    };
    let mut n = 0;
    while n < chars.len() {
        let end = match at(n) {
            '/' if at(n + 1) == '/' => (n..).find(|&m| at(m) == '\n' || m >= chars.len()),
            '/' if at(n + 1) == '*' => Some(block_comment_end(&chars, n)),
            '"' => Some(string_end(&chars, n)),
            'r' | 'b' | 'c' if !(n > 0 && is_word(at(n - 1))) => raw_string_end(&chars, n),
            '\'' => char_end(&chars, n),
            _ => None,
        };
        match end {
            Some(end) => {
                let end = end.min(chars.len());
                blank(&mut out, n..end);
                n = end;
            }
            None => {
                out.push(at(n));
                n += 1;
            }
        }
    }
    out
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn block_comment_end(chars: &[char], from: usize) -> usize {
    let (mut depth, mut n) = (0, from);
    while n < chars.len() {
        match (chars.get(n), chars.get(n + 1)) {
            (Some('/'), Some('*')) => (depth, n) = (depth + 1, n + 2),
            (Some('*'), Some('/')) => (depth, n) = (depth - 1, n + 2),
            _ => n += 1,
        }
        if depth == 0 {
            break;
        }
    }
    n
}

fn string_end(chars: &[char], from: usize) -> usize {
    let mut n = from + 1;
    while let Some(c) = chars.get(n) {
        match c {
            '\\' => n += 2,
            '"' => return n + 1,
            _ => n += 1,
        }
    }
    n
}

/// `r"..."`, `r#"..."#`, `br"..."` and their like; none when it is not one.
fn raw_string_end(chars: &[char], from: usize) -> Option<usize> {
    let mut n = from + usize::from(chars.get(from) != Some(&'r'));
    if chars.get(n) != Some(&'r') {
        return None;
    }
    n += 1;
    let hashes = chars.iter().skip(n).take_while(|c| **c == '#').count();
    n += hashes;
    if chars.get(n) != Some(&'"') {
        return None;
    }
    let closes = |m: &usize| {
        chars.get(*m) == Some(&'"') && chars.iter().skip(m + 1).take(hashes).filter(|c| **c == '#').count() == hashes
    };
    Some((n + 1..chars.len()).find(closes).map_or(chars.len(), |m| m + 1 + hashes))
}

/// A character literal; none for a lifetime.
fn char_end(chars: &[char], from: usize) -> Option<usize> {
    if chars.get(from + 1) == Some(&'\\') {
        return (from + 3..chars.len()).find(|&m| chars.get(m) == Some(&'\'')).map(|m| m + 1);
    }
    (chars.get(from + 2) == Some(&'\'')).then_some(from + 3)
}

/// Byte ranges of items under `cfg(test)`, and the modules among them that are files of their own.
fn test_regions(masked: &str) -> (Vec<(usize, usize)>, Vec<String>) {
    let (mut regions, mut modules) = (vec![], vec![]);
    for (from, _) in masked.match_indices("#[cfg(") {
        let attribute = &masked[from..masked[from..].find(']').map_or(masked.len(), |n| from + n)];
        if !has_word(attribute, "test") || attribute.contains("not(test") {
            continue;
        }
        let start = from + attribute.len();
        let Some(open) = masked[start..].find(['{', ';']).map(|n| start + n) else { continue };
        if masked.as_bytes().get(open) == Some(&b';') {
            let declared = masked[start..open].split_whitespace().next_back();
            if has_word(&masked[start..open], "mod") {
                modules.extend(declared.map(str::to_owned));
            }
            regions.push((from, open));
        } else {
            regions.push((from, closing_brace(masked, open)));
        }
    }
    (regions, modules)
}

fn closing_brace(masked: &str, open: usize) -> usize {
    let mut depth = 0;
    for (n, b) in masked.bytes().enumerate().skip(open) {
        match b {
            b'{' => depth += 1,
            b'}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return n;
        }
    }
    masked.len()
}
