//! Logging in: which secret is tried after which, and when to stop before an account is locked.

use std::sync::Arc;
use std::time::Duration;

use russh::client::{self, AuthResult, Handle, KeyboardInteractiveAuthResponse as Interactive};
use russh::keys::{self, HashAlg, PrivateKeyWithHashAlg};
use russh::{MethodKind, MethodSet};
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use super::session::{Failed, Guard};
use crate::platform::dialogue::wants_new_password;
use crate::secret::Secret;
use crate::service::probe::{Credential, PrivateKey};

/// Requests within one visit. Servers count them as well, and end a connection at about six.
const REQUESTS_MAX: usize = 10;
/// Passwords sent for one user within one visit: most servers lock an account at the fifth, some at
/// the fourth.
const PASSWORDS_MAX: usize = 3;
/// A keyboard-interactive server asks once or twice; one that asks on is not logging us in.
const QUESTIONS_MAX: usize = 8;
/// A connection that ended is known to have ended within a few moments of this length.
const HUNG_UP_PAUSE: Duration = Duration::from_millis(10);
const HUNG_UP_LOOKS: usize = 10;

/// Everything that can be tried, in order, over as many connections as it takes.
pub(super) struct Login<'a> {
    credentials: &'a [Credential],
    /// What was not tried yet, the next one last.
    steps: Vec<(usize, Means)>,
    requests: usize,
    /// How many passwords each credential's user was sent, by index.
    passwords: Vec<usize>,
    refusals: Vec<String>,
    /// Nothing of ours was ever sent.
    silent: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Means {
    Key,
    Password,
    /// The password again, where the plain method was refused although it is offered.
    Interactive,
}

/// What became of one of them.
enum Answer {
    Taken,
    /// With the methods that the other side takes.
    Refused(String, MethodSet),
    /// It was right and is not enough.
    Partial(MethodSet),
    BrokenOff(String),
    /// It cannot be tried, whoever asks.
    Unusable(String),
}

impl<'a> Login<'a> {
    pub(super) fn new(credentials: &'a [Credential]) -> Self {
        let mut steps = Vec::new();
        for (index, credential) in credentials.iter().enumerate() {
            steps.extend(credential.key.iter().map(|_| (index, Means::Key)));
            steps.extend(credential.password.iter().map(|_| (index, Means::Password)));
        }
        steps.reverse();
        let passwords = vec![0; credentials.len()];
        Self { credentials, steps, requests: 0, passwords, refusals: Vec::new(), silent: true }
    }

    /// Tries what is left on this connection. `None` if the other side closed it and something is
    /// left for the next one.
    pub(super) async fn on(
        &mut self,
        handle: &mut Handle<Guard>,
    ) -> Result<Option<&'a Credential>, Failed> {
        let mut fresh = true;
        // What the other side said it takes, of this user on this connection.
        let mut takes: Option<(usize, MethodSet)> = None;
        while let Some((index, means)) = self.steps.pop() {
            if self.requests >= REQUESTS_MAX {
                self.refusals.push("no more is tried, lest an account be locked".to_owned());
                break;
            }
            let credential = &self.credentials[index];
            let known = takes.take().filter(|(of, _)| self.same_user(*of, index));
            let answer = match means {
                Means::Key => self.key(handle, credential).await,
                Means::Password => self.password(handle, index, known.map(|known| known.1)).await,
                Means::Interactive => self.interactive(handle, index, ALONE).await,
            };
            match answer {
                Answer::Taken => return Ok(Some(credential)),
                Answer::Refused(why, methods) => {
                    self.refuse(index, why);
                    takes = Some((index, methods));
                }
                Answer::Partial(methods) => {
                    let key_next = means == Means::Password
                        && credential.key.is_some()
                        && methods.contains(&MethodKind::PublicKey);
                    let more = self.steps.last().is_some_and(|next| next.0 == index);
                    if key_next {
                        self.steps.push((index, Means::Key));
                    } else if !more {
                        let what = match means {
                            Means::Key => "key",
                            Means::Password | Means::Interactive => "password",
                        };
                        self.refuse(
                            index,
                            format!("the {what} is not enough: {}", names(&methods)),
                        );
                    }
                    takes = Some((index, methods));
                }
                Answer::Unusable(why) => self.refuse(index, why),
                // It may be that it ends a connection after so many refusals, or at another
                // name: then what it did not look at is tried on a new one.
                Answer::BrokenOff(_) if !fresh => {
                    self.steps.push((index, means));
                    return Ok(None);
                }
                Answer::BrokenOff(why) => self.refuse(index, why),
            }
            fresh = false;
            if handle.is_closed() && !self.steps.is_empty() {
                return Ok(None);
            }
        }
        Err(self.failed())
    }

    fn failed(&self) -> Failed {
        if self.credentials.is_empty() {
            return Failed::LoginRefused("the inventory has no credential for it".to_owned());
        }
        let why = self.refusals.join("; ");
        match self.silent {
            true => Failed::NoKey(why),
            false => Failed::LoginRefused(why),
        }
    }

    fn refuse(&mut self, index: usize, why: String) {
        self.refusals.push(format!("`{}`: {why}", shown(&self.credentials[index].username)));
    }

    fn same_user(&self, one: usize, other: usize) -> bool {
        self.credentials[one].username == self.credentials[other].username
    }

    /// Notes that a request is sent.
    fn request(&mut self) {
        self.requests += 1;
        self.silent = false;
    }

    async fn key(&mut self, handle: &mut Handle<Guard>, credential: &Credential) -> Answer {
        let Some(key) = &credential.key else {
            return Answer::Unusable("it has no key".to_owned());
        };
        let key = match read_key(key).await {
            Ok(key) => Arc::new(key),
            Err(why) => return Answer::Unusable(why),
        };
        let mut refused = Answer::Unusable("the key fits no algorithm".to_owned());
        for hash in hashes(handle, &key).await {
            if self.requests >= REQUESTS_MAX {
                break;
            }
            self.request();
            let key = PrivateKeyWithHashAlg::new(Arc::clone(&key), hash);
            let answer = handle.authenticate_publickey(credential.username.as_str(), key).await;
            refused = match told(handle, answer).await {
                Answer::Refused(_, methods) if methods.contains(&MethodKind::PublicKey) => {
                    Answer::Refused("the key was refused".to_owned(), methods)
                }
                Answer::Refused(_, methods) => {
                    let why = format!("it takes no keys, but {}", names(&methods));
                    return Answer::Refused(why, methods);
                }
                other => return other,
            };
        }
        refused
    }

    /// The password by its own method; by keyboard-interactive where that is the only one. Where
    /// both are offered, the other credentials come first: mostly it is the same guess again.
    async fn password(
        &mut self,
        handle: &mut Handle<Guard>,
        index: usize,
        takes: Option<MethodSet>,
    ) -> Answer {
        let credential = &self.credentials[index];
        let Some(password) = &credential.password else {
            return Answer::Unusable("it has no password".to_owned());
        };
        if takes.as_ref().is_some_and(|takes| !takes.contains(&MethodKind::Password)) {
            let methods = takes.unwrap_or_else(MethodSet::empty);
            if methods.contains(&MethodKind::KeyboardInteractive) {
                return self.interactive(handle, index, ALONE).await;
            }
            let why = format!("the device takes no password, but {}", names(&methods));
            return Answer::Refused(why, methods);
        }
        if !self.may_send_password(index) {
            return Answer::Unusable(LEST_LOCKED.to_owned());
        }
        let user = credential.username.as_str();
        let answer = handle.authenticate_password(user, password.expose()).await;
        let (_, methods) = match told(handle, answer).await {
            Answer::Refused(why, methods) => (why, methods),
            other => return other,
        };
        if !methods.contains(&MethodKind::KeyboardInteractive) {
            let why = format!("the password was refused; the device takes {}", names(&methods));
            return Answer::Refused(why, methods);
        }
        if !methods.contains(&MethodKind::Password) {
            return self.interactive(handle, index, BOTH).await;
        }
        self.steps.insert(0, (index, Means::Interactive));
        Answer::Refused("the password was refused".to_owned(), methods)
    }

    /// `refused` is what a refusal means.
    async fn interactive(
        &mut self,
        handle: &mut Handle<Guard>,
        index: usize,
        refused: &str,
    ) -> Answer {
        let credential = &self.credentials[index];
        let Some(password) = &credential.password else {
            return Answer::Unusable("it has no password".to_owned());
        };
        if !self.may_send_password(index) {
            return Answer::Unusable(LEST_LOCKED.to_owned());
        }
        keyboard_interactive(handle, credential, password, refused).await
    }

    /// Counts a password that is about to be sent for this credential's user, if it may be.
    fn may_send_password(&mut self, index: usize) -> bool {
        let sent: usize = (0..self.credentials.len())
            .filter(|other| self.same_user(*other, index))
            .map(|other| self.passwords[other])
            .sum();
        let may = sent < PASSWORDS_MAX;
        if may {
            self.passwords[index] += 1;
            self.request();
        }
        may
    }
}

const ALONE: &str = "keyboard-interactive was refused";
const BOTH: &str = "password and keyboard-interactive were refused";
const LEST_LOCKED: &str = "no more passwords are sent for this user, lest it be locked";

/// Reads a key apart from the other work: a passphrase is made slow to try on purpose.
async fn read_key(key: &PrivateKey) -> Result<keys::PrivateKey, String> {
    let key = key.clone();
    let reading = spawn_blocking(move || {
        let passphrase = key.passphrase.as_ref().map(Secret::expose);
        let read = keys::decode_secret_key(key.text.expose(), passphrase);
        match (read, passphrase) {
            // A key in PEM that is not encrypted is not found behind a passphrase.
            (Err(_), Some(_)) => keys::decode_secret_key(key.text.expose(), None)
                .map_err(|_| "the private key cannot be read with its passphrase".to_owned()),
            (read, _) => read.map_err(|error| match error {
                keys::Error::KeyIsEncrypted => {
                    "the private key is encrypted; name its `passphrase`".to_owned()
                }
                other => format!("the private key cannot be read: {other}"),
            }),
        }
    });
    reading.await.unwrap_or_else(|_| Err("the private key cannot be read".to_owned()))
}

/// The signatures to be tried with a key: of RSA keys what the server says it knows, and then
/// ssh-rsa with SHA-1, which some take although they say otherwise (OpenSSH restricted to
/// `PubkeyAcceptedAlgorithms ssh-rsa` announces rsa-sha2-512, and many old ones say nothing).
async fn hashes(handle: &Handle<Guard>, key: &keys::PrivateKey) -> Vec<Option<HashAlg>> {
    if !key.algorithm().is_rsa() {
        return vec![None];
    }
    match handle.best_supported_rsa_hash().await {
        Ok(Some(None)) => vec![None],
        Ok(Some(best)) => vec![best, None],
        Ok(None) | Err(_) => vec![Some(HashAlg::Sha512), None, Some(HashAlg::Sha256)],
    }
}

async fn told(handle: &Handle<Guard>, answer: Result<AuthResult, russh::Error>) -> Answer {
    match answer {
        Ok(AuthResult::Success) => Answer::Taken,
        Ok(AuthResult::Failure { partial_success: true, remaining_methods }) => {
            Answer::Partial(remaining_methods)
        }
        Ok(AuthResult::Failure { remaining_methods, .. }) => {
            refused(handle, "it was refused", remaining_methods).await
        }
        Err(error) => broken_off(&error),
    }
}

/// Where the other side hangs up instead of answering, the library tells of a refusal that leaves
/// no method, a moment before it is known that the connection ended.
async fn refused(handle: &Handle<Guard>, why: &str, methods: MethodSet) -> Answer {
    if methods.is_empty() {
        for _ in 0..HUNG_UP_LOOKS {
            if handle.is_closed() {
                return Answer::BrokenOff("the device closed the connection after it".to_owned());
            }
            sleep(HUNG_UP_PAUSE).await;
        }
    }
    Answer::Refused(why.to_owned(), methods)
}

async fn keyboard_interactive(
    handle: &mut Handle<Guard>,
    credential: &Credential,
    password: &Secret,
    on_refusal: &str,
) -> Answer {
    let user = credential.username.as_str();
    let mut answer = match handle.authenticate_keyboard_interactive_start(user, None).await {
        Ok(answer) => answer,
        Err(error) => return broken_off(&error),
    };
    let mut sent = false;
    for _ in 0..QUESTIONS_MAX {
        let prompts = match answer {
            Interactive::Success => return Answer::Taken,
            Interactive::Failure { partial_success: true, remaining_methods } => {
                return Answer::Partial(remaining_methods);
            }
            Interactive::Failure { remaining_methods, .. } => {
                return refused(handle, on_refusal, remaining_methods).await;
            }
            Interactive::InfoRequest { instructions, prompts, .. } => {
                let asked = prompts.iter().map(|prompt| prompt.prompt.as_str());
                let wanted =
                    asked.chain([instructions.as_str()]).find(|text| wants_new_password(text));
                if let Some(text) = wanted {
                    let why = format!("the device wants a new password first: `{}`", line(text));
                    return Answer::Refused(why, MethodSet::empty());
                }
                prompts
            }
        };
        let unseen = prompts.iter().filter(|prompt| !prompt.echo).count();
        // The same password a second time would count as another guess.
        if unseen > 0 && sent || unseen > 1 {
            let question = prompts.iter().find(|prompt| !prompt.echo);
            let question = question.map(|prompt| line(&prompt.prompt)).unwrap_or_default();
            let why = format!("the device asks for more than a password: `{question}`");
            return Answer::Refused(why, MethodSet::empty());
        }
        sent |= unseen > 0;
        let responses = prompts.iter().map(|prompt| response(prompt, user, password)).collect();
        answer = match handle.authenticate_keyboard_interactive_respond(responses).await {
            Ok(answer) => answer,
            Err(error) => return broken_off(&error),
        };
    }
    Answer::Refused("keyboard-interactive asks without end".to_owned(), MethodSet::empty())
}

/// What is typed unseen is the password; a question with echo is for the name, or is none of ours.
fn response(prompt: &client::Prompt, user: &str, password: &Secret) -> String {
    if !prompt.echo {
        return password.expose().to_owned();
    }
    let question = prompt.prompt.to_lowercase();
    match question.contains("user") || question.contains("login") {
        true => user.to_owned(),
        false => String::new(),
    }
}

fn broken_off(error: &russh::Error) -> Answer {
    Answer::BrokenOff(format!("the device broke off the login: {error}"))
}

/// A user name is the operator's own word; it is only kept short.
fn shown(username: &str) -> String {
    username.chars().take(64).collect()
}

/// What a device says, on one short line.
fn line(text: &str) -> String {
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    words.chars().filter(|c| !c.is_control()).take(100).collect()
}

fn names(methods: &MethodSet) -> String {
    let names: Vec<&str> = methods.iter().map(Into::into).collect();
    match names.is_empty() {
        true => "no other method".to_owned(),
        false => names.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use russh::keys::{Algorithm, PrivateKey as Key, PublicKey};

    use super::super::toy::{Toy, order, settings, shell};
    use super::super::{Memory, report};
    use super::*;
    use crate::service::probe::{Order, Outcome, Report};

    async fn visit(order: &Order) -> Report {
        report(order, &settings(), &Memory::default()).await
    }

    fn ed25519() -> (PrivateKey, String) {
        let key = Key::random(&mut keys::key::safe_rng(), Algorithm::Ed25519).unwrap();
        let text = key.to_openssh(keys::ssh_key::LineEnding::LF).unwrap();
        let public: &PublicKey = key.public_key();
        let fingerprint = public.fingerprint(HashAlg::Sha256).to_string();
        (PrivateKey { text: Secret::new(text.to_string()), passphrase: None }, fingerprint)
    }

    fn stale(order: &Order, username: &str) -> Credential {
        let mut stale = order.credentials[0].clone();
        stale.username = username.to_owned();
        stale.password = Some(Secret::new("stale-secret"));
        stale
    }

    #[tokio::test]
    async fn a_key_is_tried_before_the_password_and_may_stand_alone() {
        let (key, fingerprint) = ed25519();
        let toy = Toy { authorized: Some(fingerprint), ..Toy::default() }.start().await;
        let mut order = order(&toy, shell());
        order.credentials[0].key = Some(key);
        order.credentials[0].password = None;
        let report = visit(&order).await;
        assert!(matches!(report.outcome, Outcome::Observed(_)), "{report:?}");
        assert_eq!(toy.logins(), ["ops key"]);
        let (strange, _) = ed25519();
        order.credentials[0].key = Some(strange);
        order.credentials[0].password = Some(Secret::new("secret-1"));
        let report = visit(&order).await;
        assert!(matches!(report.outcome, Outcome::Observed(_)), "{report:?}");
        assert_eq!(toy.logins()[1..], ["ops key", "ops password"]);
    }

    #[tokio::test]
    async fn a_key_that_cannot_be_read_is_our_side_and_is_not_shown() {
        let toy = Toy::default().start().await;
        let mut order = order(&toy, shell());
        order.credentials[0].password = None;
        for text in ["", "nonsense-secret", "-----BEGIN OPENSSH PRIVATE KEY-----\nsecret\n"] {
            let passphrase = Some(Secret::new("pass-secret"));
            order.credentials[0].key = Some(PrivateKey { text: Secret::new(text), passphrase });
            let report = visit(&order).await;
            let Outcome::OurSide { why } = &report.outcome else { panic!("{report:?}") };
            assert!(why.contains("private key cannot be read"), "{why}");
            assert!(!why.contains("secret"), "{why}");
        }
        assert_eq!(toy.logins(), Vec::<String>::new());
    }

    #[tokio::test]
    async fn a_device_that_wants_one_name_for_each_connection_gets_a_new_one() {
        let toy = Toy { one_name: true, ..Toy::default() }.start().await;
        let mut order = order(&toy, shell());
        order.credentials.insert(0, stale(&order, "old"));
        let report = visit(&order).await;
        assert!(matches!(report.outcome, Outcome::Observed(_)), "{report:?}");
        assert_eq!(toy.logins(), ["old password", "old interactive", "ops password"]);
    }

    #[tokio::test]
    async fn one_user_is_sent_few_passwords_and_one_visit_makes_few_requests() {
        let toy = Toy { password: "another".to_owned(), ..Toy::default() }.start().await;
        let mut order = order(&toy, shell());
        order.credentials = vec![stale(&order, "ops"); 9];
        let report = visit(&order).await;
        let Outcome::LoginRefused { why } = &report.outcome else { panic!("{report:?}") };
        assert!(why.contains("lest it be locked"), "{why}");
        // The toy offers no method again that was refused.
        assert_eq!(toy.logins(), ["ops password", "ops interactive", "ops interactive"]);
        order.credentials = (0..30).map(|index| stale(&order, &format!("user{index}"))).collect();
        let report = visit(&order).await;
        let Outcome::LoginRefused { why } = &report.outcome else { panic!("{report:?}") };
        assert!(why.ends_with("lest an account be locked"), "{why}");
        assert_eq!(toy.logins().len(), PASSWORDS_MAX + REQUESTS_MAX);
    }

    #[tokio::test]
    async fn a_question_for_a_new_password_is_not_answered() {
        let question = "Your password has expired. New password: ".to_owned();
        let toy = Toy { interactive_only: true, question, ..Toy::default() }.start().await;
        let report = visit(&order(&toy, shell())).await;
        let Outcome::LoginRefused { why } = &report.outcome else { panic!("{report:?}") };
        assert!(why.contains("wants a new password first: `Your password has expired"), "{why}");
        assert_eq!(toy.logins(), ["ops password", "ops interactive"]);
    }
}
