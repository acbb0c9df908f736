//! The provisioning as a file.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::core::tenant::provision::{Access, Provision};

const WITHOUT_SECRETS: &str = "\
# Passwords and PINs are left out. Add them before applying this file, or export with secrets: whoever has one is
# refused without it.
";

/// A provisioning file that parses to `provision`, without passwords and PINs; a comment says so when there are any.
pub fn export(provision: &Provision) -> String {
    let mut open = provision.clone();
    for agent in &mut open.agent {
        agent.password = None;
        agent.pin = None;
    }
    for trunk in &mut open.trunk {
        trunk.password = None;
    }
    let comment = if open == *provision { "" } else { WITHOUT_SECRETS };
    format!("{comment}{}", export_with_secrets(&open))
}

/// A provisioning file that parses to `provision`, passwords and PINs in clear: a secret itself.
pub fn export_with_secrets(provision: &Provision) -> String {
    let mut text = String::new();
    single(&mut text, "sip", &provision.sip);
    single(&mut text, "media", &provision.media);
    single(&mut text, "admission", &provision.admission);
    single(&mut text, "node", &provision.node);
    if provision.access != Access::default() {
        single(&mut text, "access", &provision.access);
    }
    many(&mut text, "card", &provision.card);
    many(&mut text, "trunk", &provision.trunk);
    many(&mut text, "span", &provision.span);
    many(&mut text, "tenant", &provision.tenant);
    many(&mut text, "site", &provision.site);
    many(&mut text, "skill", &provision.skill);
    many(&mut text, "attribute", &provision.attribute);
    many(&mut text, "agent", &provision.agent);
    many(&mut text, "user", &provision.user);
    many(&mut text, "queue", &provision.queue);
    many(&mut text, "flow", &provision.flow);
    many(&mut text, "number", &provision.number);
    text
}

fn single(text: &mut String, name: &str, table: &impl Serialize) {
    write(text, &BTreeMap::from([(name, table)]));
}

fn many(text: &mut String, name: &str, entries: &[impl Serialize]) {
    // One by one: the writer's time grows with the square of what it is given at once.
    for entry in entries {
        write(text, &BTreeMap::from([(name, std::slice::from_ref(entry))]));
    }
}

/// The provisioning's types are strings, small integers, finite numbers and tables of them: TOML holds them all, so the
/// writer has no case to refuse. Were there one, the file says so and does not parse.
fn write(text: &mut String, tables: &impl Serialize) {
    if !text.is_empty() {
        text.push('\n');
    }
    match toml::to_string_pretty(tables) {
        Ok(tables) => text.push_str(&tables),
        Err(error) => text.push_str(&format!("not written: {error}\n")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::tenant::{diff, parse, testing};

    #[test]
    fn what_is_exported_parses_to_the_same() {
        for seed in 1..60 {
            println!("seed {seed}");
            let provision = testing::provision(seed);
            let text = export_with_secrets(&provision);
            assert_eq!(parse(&text, "export.toml"), Ok(provision), "{text}");
        }
    }

    #[test]
    fn secrets_stay_out_unless_asked_for() {
        let text =
            "[[trunk]]\nname = 'x'\nkind = 'sip'\nuser = 'u'\npassword = 'hunter2'\npeer = [{ address = '192.0.2.1' }]";
        let provision = parse(text, "p.toml").expect("good");
        assert!(export_with_secrets(&provision).contains("hunter2"));
        let open = export(&provision);
        assert!(open.starts_with("# Passwords and PINs are left out.") && !open.contains("hunter2"));
        let read: Provision = toml::from_str(&open).expect("TOML");
        let printed: Vec<String> = diff(&provision, &read).iter().map(ToString::to_string).collect();
        assert_eq!(printed, ["~ trunk x: password changed"]);
        assert!(parse(&open, "export.toml").is_err(), "it cannot be applied by mistake");
        assert!(!export(&Provision::default()).contains('#'));
    }
}
