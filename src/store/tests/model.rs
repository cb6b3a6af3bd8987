//! Whatever happens to the store in whatever order, it decides like a plain model and ends as a
//! store that applies each commit at once.

use super::*;

/// What may happen to the store.
#[derive(Debug, Clone)]
enum Doing {
    /// One group of commits.
    Group(Vec<Vec<Act>>),
    /// What waits is sealed, and so many slices are made.
    Slices(usize),
    /// The process is killed and started again.
    Kill,
    Forget(i64),
}

#[derive(Debug, Clone)]
enum Act {
    Open {
        device: u8,
        forced: bool,
    },
    /// A run of those opened so far, by number; closed or open; from a wrong revision.
    Move {
        run: usize,
        close: bool,
        stale: bool,
    },
    Line(u8),
    Lease {
        address: u8,
        device: u8,
    },
    /// The end of the newest binding or of an earlier one, in its turn or late.
    LeaseEnded {
        address: u8,
        device: u8,
        rest: bool,
        since: i64,
    },
    Timer {
        run: u8,
        name: u8,
        at: Option<i64>,
    },
    Outbox {
        key: u8,
        kind: u8,
    },
    Superseded {
        kind: u8,
    },
    Moved {
        id: i64,
        state: DeliveryState,
    },
    Reference(u8),
    Served,
    Stranger(u8),
}

fn act() -> impl Strategy<Value = Act> {
    let state = prop_oneof![
        Just(DeliveryState::Sending),
        Just(DeliveryState::Done),
        Just(DeliveryState::Dead),
        Just(DeliveryState::Pending)
    ];
    prop_oneof![
        4 => (0..3u8, any::<bool>()).prop_map(|(device, forced)| Act::Open { device, forced }),
        6 => (0..6usize, any::<bool>(), prop::bool::weighted(0.1))
            .prop_map(|(run, close, stale)| Act::Move { run, close, stale }),
        2 => (0..3u8).prop_map(Act::Line),
        2 => (0..4u8, 0..3u8).prop_map(|(address, device)| Act::Lease { address, device }),
        2 => (0..4u8, 0..3u8, any::<bool>(), 0..500i64).prop_map(
            |(address, device, rest, since)| Act::LeaseEnded { address, device, rest, since }
        ),
        2 => (0..3u8, 0..2u8, prop::option::of(0..9i64))
            .prop_map(|(run, name, at)| Act::Timer { run, name, at }),
        2 => (0..6u8, 0..2u8).prop_map(|(key, kind)| Act::Outbox { key, kind }),
        1 => (0..2u8).prop_map(|kind| Act::Superseded { kind }),
        2 => (1..6i64, state).prop_map(|(id, state)| Act::Moved { id, state }),
        1 => (0..3u8).prop_map(Act::Reference),
        1 => Just(Act::Served),
        1 => (0..3u8).prop_map(Act::Stranger),
    ]
}

fn doing() -> impl Strategy<Value = Doing> {
    let commit = prop::collection::vec(act(), 1..4);
    prop_oneof![
        6 => prop::collection::vec(commit, 1..4).prop_map(Doing::Group),
        2 => (0..3usize).prop_map(Doing::Slices),
        2 => Just(Doing::Kill),
        1 => (0..2000i64).prop_map(Doing::Forget),
    ]
}

/// The plain model: all runs in a list, and the rules as one would say them.
#[derive(Default, Clone)]
struct Model {
    runs: Vec<Run>,
}

impl Model {
    fn open(&mut self, run: &Run, forced: bool) -> Result<(), Refused> {
        let of_device = || self.runs.iter().filter(|known| known.device == run.device);
        let after = run.last_heard.micros() - WINDOW;
        let in_the_way = of_device()
            .any(|known| known.is_open() || (!forced && known.last_heard.micros() > after));
        if in_the_way {
            return Err(self.standing(&run.device));
        }
        self.runs.push(run.clone());
        Ok(())
    }

    fn shift(&mut self, run: &Run, from_rev: u64) -> Result<(), Refused> {
        let stale = Refused::Stale { run: run.id.clone() };
        let Some(place) = self.runs.iter().position(|known| known.id == run.id) else {
            return Err(stale);
        };
        if self.runs[place].rev != from_rev {
            return Err(stale);
        }
        let other_open = self
            .runs
            .iter()
            .any(|known| known.device == run.device && known.id != run.id && known.is_open());
        if run.is_open() && other_open {
            return Err(self.standing(&run.device));
        }
        self.runs[place] = run.clone();
        Ok(())
    }

    fn standing(&self, device: &str) -> Refused {
        let of_device = self.runs.iter().filter(|known| known.device == device);
        let run = of_device.max_by_key(|run| (run.is_open(), run.opened, run.id.clone())).unwrap();
        Refused::AlreadyOpen { run: Arc::new(run.clone()) }
    }

    fn forget(&mut self, before: Timestamp) {
        let all = self.runs.clone();
        self.runs.retain(|run| {
            let newer =
                all.iter().any(|other| other.device == run.device && other.opened > run.opened);
            run.is_open() || run.last_heard >= before || !newer
        });
    }

    /// Takes a commit whole or not at all, and says what it was made of.
    fn commit(&mut self, acts: &[Act], clock: &mut i64) -> (Vec<Change>, Result<(), Refused>) {
        let before = self.clone();
        let mut changes = Vec::new();
        let mut outcome = Ok(());
        for act in acts {
            *clock += 97;
            let (change, allowed) = self.act(act, *clock);
            changes.push(change);
            if outcome.is_ok() {
                outcome = allowed;
            }
        }
        if let Err(refused) = &mut outcome {
            *self = before;
            // What stands in the way is told as it is stored, without what was refused.
            if let Refused::AlreadyOpen { run } = refused {
                let opened = changes.iter().find_map(|change| match change {
                    Change::RunOpened { run: opened, .. } if opened.id == run.id => Some(opened),
                    _ => None,
                });
                match (self.runs.iter().find(|known| known.id == run.id), opened) {
                    (Some(stored), _) => *run = Arc::new(stored.clone()),
                    (None, Some(opened)) => *run = Arc::clone(opened),
                    (None, None) => {}
                }
            }
        }
        (changes, outcome)
    }

    fn act(&mut self, act: &Act, clock: i64) -> (Change, Result<(), Refused>) {
        match act {
            Act::Open { device, forced } => {
                let run = a_run(&format!("{clock:06}"), &format!("sw{device}"), at(clock));
                let allowed = self.open(&run, *forced);
                let run = Arc::new(run);
                (Change::RunOpened { run, window_micros: WINDOW, forced: *forced }, allowed)
            }
            Act::Move { run, close, stale } => {
                let unknown = a_run("unknown", "sw0", at(clock));
                let count = self.runs.len();
                let mut run = match count {
                    0 => unknown,
                    _ => self.runs[count - 1 - run % count].clone(),
                };
                let from_rev = run.rev + u64::from(*stale);
                run.rev += 1;
                run.last_heard = at(clock);
                run.phase = if *close {
                    Phase::Ready { at: at(clock) }
                } else {
                    Phase::Addressed { fetch_by: at(clock) }
                };
                let allowed = self.shift(&run, from_rev);
                (Change::RunMoved { run: Arc::new(run), from_rev }, allowed)
            }
            other => (plain(other, clock), Ok(())),
        }
    }
}

/// Changes that nothing refuses.
fn plain(act: &Act, clock: i64) -> Change {
    let text = |number: u8| number.to_string();
    match act {
        Act::Open { .. } | Act::Move { .. } => unreachable!("made by the model"),
        Act::Line(device) => line("r", &text(*device), u64::try_from(clock).unwrap()),
        Act::Lease { address, device } => Change::Lease(Lease {
            address: std::net::Ipv4Addr::new(10, 0, 0, *address),
            mac: crate::address::Mac::new([*device; 6]),
            client_id: String::new(),
            device: Some(text(*device)),
            relay_information: String::new(),
            granted: at(clock),
            expires: at(clock + 1000),
        }),
        Act::LeaseEnded { address, device, rest, since } => Change::LeaseEnded {
            address: std::net::IpAddr::from([10, 0, 0, *address]),
            binding: Binding {
                holder: Holder::Port(crate::address::Mac::new([*device; 6])),
                until: at(clock + 1000 - since),
            },
            quarantined_until: rest.then_some(at(clock)),
        },
        Act::Timer { run, name, at: when } => {
            Change::Timer { run: text(*run), name: text(*name), at: when.map(at) }
        }
        Act::Outbox { key, kind } => Change::Outbox(NewDelivery {
            outlet: "slack".into(),
            subject: "r".into(),
            key: text(*key),
            kind: text(*kind),
            payload: serde_json::json!({ "clock": clock }),
            at: at(clock),
        }),
        Act::Superseded { kind } => Change::OutboxSuperseded {
            outlet: "slack".into(),
            subject: "r".into(),
            kinds: vec![text(*kind)],
        },
        Act::Moved { id, state } => {
            Change::OutboxMoved { id: *id, state: *state, next_at: at(clock), note: text(3) }
        }
        Act::Reference(subject) => Change::OutletReference {
            outlet: "slack".into(),
            subject: text(*subject),
            reference: clock.to_string(),
        },
        Act::Served => served(u64::try_from(clock).unwrap()),
        Act::Stranger(key) => {
            Change::Stranger { key: text(*key), description: clock.to_string(), at: at(clock) }
        }
    }
}

fn said(answer: &Answer) -> Result<(), Refused> {
    answer.clone().map(drop)
}

/// Does it all to a store that is cut and killed, and to one that applies each commit at once.
fn play(cut: &Path, whole: &Path, doings: &[Doing]) {
    let mut keeper = Keeper::open(cut).unwrap();
    // Small slices, so that a sweep can be cut.
    keeper.slice_entries = 2;
    let mut plain = Keeper::open(whole).unwrap();
    let (mut model, mut clock) = (Model::default(), 0);
    for doing in doings {
        match doing {
            Doing::Group(commits) => {
                let mut group = Vec::new();
                let mut expected = Vec::new();
                for acts in commits {
                    let (changes, outcome) = model.commit(acts, &mut clock);
                    assert_eq!(said(&one(&mut plain, changes.clone())), outcome, "{acts:?}");
                    plain.apply_all();
                    group.push(changes);
                    expected.push(outcome);
                }
                let answers: Vec<_> = store(&mut keeper, group).iter().map(said).collect();
                assert_eq!(answers, expected, "{commits:?}");
            }
            Doing::Slices(count) => {
                keeper.backlog.seal();
                (0..*count).for_each(|_| keeper.slice());
            }
            Doing::Kill => {
                drop(keeper);
                keeper = Keeper::open(cut).unwrap();
                keeper.slice_entries = 2;
            }
            Doing::Forget(ago) => {
                let before = at(clock - ago);
                model.forget(before);
                for keeper in [&mut keeper, &mut plain] {
                    assert!(one(keeper, vec![Change::Forget { before }]).is_ok());
                }
                plain.apply_all();
                // What is forgotten is asked of the tables.
                keeper.apply_all();
            }
        }
        assert!(keeper.stuck.is_none() && keeper.broken.is_none(), "{:?}", keeper.stuck);
    }
    drop(keeper);
    let keeper = Keeper::open(cut).unwrap();
    assert_eq!(all_that_is_durable(&keeper.connection), all_that_is_durable(&plain.connection));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn cut_and_killed_anywhere_it_decides_like_the_model_and_ends_the_same(
        doings in prop::collection::vec(doing(), 1..25),
    ) {
        let folder = tempfile::tempdir().unwrap();
        play(&folder.path().join("cut.db"), &folder.path().join("whole.db"), &doings);
    }
}
