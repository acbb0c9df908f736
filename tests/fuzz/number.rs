//! Dial strings.

use cordboard::base::DialString;
use cordboard::base::number::DIAL_STRING_MAX;

use crate::fuzz;

#[test]
fn dial_strings() {
    fuzz!(512, |mut chance| {
        let text = String::from_utf8_lossy(chance.take(511)).into_owned();
        let json = serde_json::to_string(&text).expect("a text is JSON");
        let read = serde_json::from_str::<DialString>(&json);
        match DialString::new(text.clone()) {
            Ok(dialled) => {
                assert_eq!(dialled.as_str(), text);
                assert!(text.len() <= DIAL_STRING_MAX && !text.contains(['\r', '\n', '<', '>', '@', '"', ' ']));
                let shown = format!("{dialled:?}");
                assert!(text.chars().count() <= 2 || !shown.contains(&text), "{shown}");
                assert_eq!(read.ok(), Some(dialled), "what is written is read again");
            }
            Err(error) => {
                assert!(!error.to_string().is_empty());
                assert!(read.is_err(), "JSON is no way around the check");
            }
        }
    });
}
