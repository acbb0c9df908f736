//! Work items on the real process: by command line, and through kill -9 while they come, are taken and completed. Five kills
//! here; `CORDBOARD_KILLS=200 cargo test --test faults no_work_item -- --nocapture` is the campaign.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use cordboard::base::{Medium, Redacted, WorkItemId};
use cordboard::core::contact::{Outcome, Work, WorkState};
use cordboard::core::control::{Command, Explanation, Query, Reply, WorkSpec, WorkView};
use cordboard::edge::console::Client;
use cordboard::edge::store::{Reader, WorkFilter};

use crate::process::{Process, ok, run};
use crate::site::{Site, agent, during, queue};

fn provisioning(site: &Site) -> String {
    let mut more = String::new();
    for name in ["w0", "w1", "w2"] {
        more += &agent(name, "signed_in = true\nring_s = 120");
    }
    more += &queue("mail", "");
    more += &queue("later", "");
    site.text(2, &more)
}

/// What was promised to a client of the control socket before it broke off.
#[derive(Default)]
struct Promised {
    added: BTreeSet<WorkItemId>,
    accepted: BTreeMap<WorkItemId, String>,
    completed: BTreeSet<WorkItemId>,
}

fn open(client: &mut Client) -> Option<Vec<WorkView>> {
    let mut all: Vec<WorkView> = Vec::new();
    loop {
        let after = all.last().map(|view| view.id);
        match client.query(&Query::Works { tenant: None, queue: None, state: None, after, agent: None }).ok()? {
            Reply::Works { works, more } => {
                all.extend(works);
                if !more {
                    return Some(all);
                }
            }
            other => panic!("{other:?}"),
        }
    }
}

/// All media, spoken ones now and then: these agents have no phones, so such items wait.
const MEDIA: [Medium; 10] = {
    use Medium::{Chat, Email, Fax, Video, Voice, Voicemail};
    [Email, Chat, Voicemail, Fax, Email, Voice, Chat, Voicemail, Fax, Video]
};

/// Adds items, takes what is offered and completes most of it, until the process is gone.
fn load(data: PathBuf) -> JoinHandle<Promised> {
    thread::spawn(move || {
        let mut promised = Promised::default();
        let mut client = Client::connect(&data).unwrap().expect("it runs");
        for n in 0_u64.. {
            let item = Box::new(WorkSpec {
                tenant: "acme".into(),
                medium: MEDIA[(n % MEDIA.len() as u64) as usize],
                queue: "mail".into(),
                client: Some(Redacted::new(format!("client{n}@example.com"))),
                subject: None,
                attributes: BTreeMap::new(),
                modifiers: vec![],
                callback: None,
                due_at: None,
            });
            match client.command(&Command::WorkAdd { item }) {
                Ok(Reply::Added { work, .. }) => drop(promised.added.insert(work)),
                Ok(other) => panic!("{other:?}"),
                Err(_) => break,
            }
            let Some(views) = open(&mut client) else { break };
            for view in views {
                let agent = view.agent.clone().unwrap_or_default();
                let command = match view.state {
                    WorkState::Offered => {
                        Command::WorkAccept { tenant: "acme".into(), agent: agent.clone(), work: view.id }
                    }
                    WorkState::Handled if n % 4 != 0 => {
                        Command::WorkComplete { work: view.id, disposition: None, note: None }
                    }
                    _ => continue,
                };
                match client.command(&command) {
                    Ok(Reply::Done) if view.state == WorkState::Offered => {
                        promised.accepted.insert(view.id, agent);
                    }
                    Ok(Reply::Done) => drop(promised.completed.insert(view.id)),
                    // Nobody else gives orders.
                    Ok(other) => panic!("{command:?}: {other:?}"),
                    Err(_) => return promised,
                }
            }
        }
        promised
    })
}

fn ended(site: &Site) -> BTreeMap<WorkItemId, Work> {
    let reader = Reader::open(&site.data()).unwrap();
    let works = reader.ended_works(&WorkFilter::default()).collect::<Result<Vec<_>, _>>().unwrap();
    works.into_iter().map(|work| (work.id, work)).collect()
}

#[test]
fn no_work_item_is_lost_or_handled_twice_by_kill_9_under_load() {
    let given = std::env::var("CORDBOARD_KILLS").ok();
    let rounds: u64 = given.map_or(5, |n| n.parse().unwrap_or_else(|_| panic!("CORDBOARD_KILLS={n}: not a count")));
    let site = Site::new();
    let file = site.file("site.toml", &provisioning(&site));
    let mut process = Process::start(&site, Some(&file));
    let mut all = Promised::default();
    for round in 0..rounds {
        let loaded = load(site.data());
        during(Duration::from_millis(300 + round * 137 % 700), || {});
        process.kill();
        let promised = loaded.join().unwrap();
        all.added.extend(promised.added);
        all.accepted.extend(promised.accepted);
        all.completed.extend(promised.completed);
        process = Process::start(&site, None);
        let (ended, open) = (ended(&site), open(&mut Client::connect(&site.data()).unwrap().unwrap()).unwrap());
        let open: BTreeMap<WorkItemId, WorkView> = open.into_iter().map(|view| (view.id, view)).collect();
        for id in &all.added {
            assert!(open.contains_key(id) != ended.contains_key(id), "{id}: open or ended, not both");
        }
        for (id, agent) in &all.accepted {
            // Its completion may have become durable without anybody being told.
            let there = open.get(id).map(|view| (view.state, view.agent.as_ref()));
            assert!(
                there.is_none_or(|there| there == (WorkState::Handled, Some(agent))),
                "{id} was {agent}'s: {there:?}"
            );
        }
        for id in &all.completed {
            assert_eq!(ended.get(id).and_then(|work| work.outcome), Some(Outcome::Completed), "{id}");
        }
        for work in ended.values() {
            let of = |what: &str| work.events.iter().filter(|event| event.what == what).count();
            assert_eq!((of("accepted"), of("completed")), (1, 1), "handled once: {work:?}");
        }
    }
    let media: BTreeSet<&str> = ended(&site).values().map(|work| work.medium.as_str()).collect();
    println!(
        "{rounds} kills, {} items, {} taken, {} completed, of {media:?}",
        all.added.len(),
        all.accepted.len(),
        all.completed.len()
    );
    assert!(all.completed.len() as u64 > rounds, "too little load: {}", all.completed.len());
}

#[test]
fn an_item_is_added_explained_taken_handed_on_and_completed_by_command_line() {
    let site = Site::new();
    let file = site.file("site.toml", &provisioning(&site));
    let process = Process::start(&site, Some(&file));
    let add = ["work", "add", "--tenant", "acme", "--medium", "email", "--queue", "mail"];
    let id = ok(&site, &[&add[..], &["--client", "c@example.com", "--subject", "a bill"]].concat());
    let id = id.trim();
    assert_eq!(id.len(), 16, "{id}");
    let views: Vec<WorkView> = serde_json::from_str(&ok(&site, &["work", "list", "--json"])).unwrap();
    assert_eq!((views.len(), views[0].state), (1, WorkState::Offered));
    let agent = format!("acme/{}", views[0].agent.clone().unwrap());
    let table = ok(&site, &["work", "explain", id]);
    assert!(table.contains("MATCH") && table.contains("offered to w"), "{table}");
    let explained: Explanation = serde_json::from_str(&ok(&site, &["work", "explain", id, "--json"])).unwrap();
    assert_eq!(explained.candidates.len(), 3);
    ok(&site, &["work", "accept", id, "--agent", &agent]);
    let wrong = run(&site, &["work", "accept", id, "--agent", &agent]);
    assert_eq!(wrong.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("is not offered to"));
    ok(&site, &["work", "transfer", id, "--queue", "later", "--note", "next week"]);
    let shown = ok(&site, &["work", "show", id]);
    assert!(shown.contains("transferred") && shown.contains("acme/later") && shown.contains("next week"), "{shown}");
    let work: Work = serde_json::from_str(&ok(&site, &["work", "show", id, "--json"])).unwrap();
    let agent = format!("acme/{}", work.agent.unwrap());
    ok(&site, &["work", "accept", id, "--agent", &agent]);
    ok(&site, &["work", "complete", id, "--disposition", "answered", "--note", "all said"]);
    let later = ok(&site, &[&add[..], &["--at", "+2d"]].concat());
    assert!(ok(&site, &["work", "list", "--state", "scheduled"]).contains(later.trim()));
    ok(&site, &["work", "cancel", later.trim(), "--reason", "not needed"]);
    let item = site.file("item.toml", "tenant = 'acme'\nmedium = 'chat'\nqueue = 'mail'\n");
    let would = ok(&site, &["queue", "what-if", item.to_str().unwrap()]);
    assert!(would.starts_with("chat in acme/mail would be offered to w"), "{would}");
    let bad = site.file("bad.toml", "tenant = 'acme'\nmedium = 'chat'\nqueue = 'mail'\ncolour = 'red'\n");
    let refused = run(&site, &["queue", "what-if", bad.to_str().unwrap()]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("colour"));
    for (args, code, what) in [
        (vec!["work", "add", "--tenant", "acme", "--medium", "pigeon", "--queue", "mail"], 2, "expected voice"),
        (vec!["work", "add", "--tenant", "acme", "--medium", "email", "--queue", "none"], 1, "no queue acme/none"),
        (vec!["work", "show", "123"], 1, "0000000000000123"),
        (vec!["work", "transfer", id], 2, "--queue"),
    ] {
        let output = run(&site, &args);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(code) && said.contains(what), "{args:?}: {said}");
    }
    // Ended ones are there whether it runs or not.
    for running in [true, false] {
        assert!(ok(&site, &["work", "list", "--state", "ended"]).contains("answered"), "{running}");
        assert!(ok(&site, &["work", "show", id]).contains("all said"));
        let table = ok(&site, &["work", "explain", id]);
        assert!(table.matches("offered to").count() >= 2, "{table}");
        if running {
            process.terminate();
            crate::site::until("it stops", || run(&site, &["status"]).status.code() == Some(1));
        }
    }
}
