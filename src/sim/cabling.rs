//! Who is plugged where, and what each port therefore hears. What a device lists as its neighbours
//! is never written down anywhere: it follows from the cables and from what the far boxes say now.

use std::collections::BTreeMap;
use std::fmt;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::address::Mac;
use crate::clock::{Clock, Timestamp};
use crate::sim::chassis::Kind;

/// The plant, shared by all devices and by whoever moves plugs. Clones are the same plant.
#[derive(Debug, Clone)]
pub struct Plant {
    cabling: Arc<Mutex<Cabling>>,
    clock: Clock,
}

/// All boxes, sockets and cables of one site.
#[derive(Debug)]
pub struct Cabling {
    boxes: BTreeMap<String, Post>,
    cables: Vec<Cable>,
    ghosts: Vec<Ghost>,
    timing: LldpTiming,
}

/// How quickly LLDP notices. IEEE 802.1AB section 9.2.5 sends every 30 s and holds for 120 s, and
/// sends faster at first; a simulation shortens all of it.
#[derive(Debug, Clone, Copy)]
pub struct LldpTiming {
    /// From link-up to the first word of the far end.
    pub hello: Duration,
    /// How long a neighbour that was unplugged stays listed.
    pub linger: Duration,
}

/// One socket of one box. The box is named by its place (`acc-sw-17`), whatever it calls itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Socket {
    pub place: String,
    pub port: String,
}

/// What a box tells its neighbours about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Face {
    pub kind: Kind,
    pub name: String,
    pub mac: Mac,
    pub description: String,
    pub address: Option<Ipv4Addr>,
}

/// Whether a box is there for its neighbours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Presence {
    /// No power: no link on its cables.
    Off,
    /// Link lights, and no word yet.
    Booting,
    /// It speaks LLDP.
    Speaking(Face),
}

/// One neighbour on one port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    pub local_port: String,
    pub far: Face,
    pub far_port: String,
    pub first: Timestamp,
    /// Set for a neighbour that is gone and still listed.
    pub gone_at: Option<Timestamp>,
}

/// Why a plug did not move.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoSuchMove {
    NothingPlugged(Socket),
    Taken(Socket),
    NoSuchPort(Socket),
}

#[derive(Debug)]
struct Post {
    presence: Presence,
    since: Timestamp,
    ports: Vec<String>,
}

/// Its two plugs. A plug that is in no socket hangs loose.
#[derive(Debug)]
struct Cable {
    plugs: [Option<Socket>; 2],
    since: Timestamp,
}

/// A neighbour that a port remembers until its time to live ends.
#[derive(Debug)]
struct Ghost {
    at: Socket,
    heard: Heard,
    until: Timestamp,
}

impl Socket {
    pub fn new(place: impl Into<String>, port: impl Into<String>) -> Self {
        Self { place: place.into(), port: port.into() }
    }
}

impl fmt::Display for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} port {}", self.place, self.port)
    }
}

impl fmt::Display for NoSuchMove {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NoSuchMove::NothingPlugged(socket) => write!(f, "no plug is in {socket}"),
            NoSuchMove::Taken(socket) => write!(f, "another plug is in {socket}"),
            NoSuchMove::NoSuchPort(socket) => write!(f, "there is no {socket}"),
        }
    }
}

impl std::error::Error for NoSuchMove {}

impl Plant {
    pub fn new(clock: Clock, timing: LldpTiming) -> Self {
        Self { cabling: Arc::new(Mutex::new(Cabling::new(timing))), clock }
    }

    /// The cabling and the time at which it is looked at. Not to be held over an await.
    pub fn look(&self) -> (MutexGuard<'_, Cabling>, Timestamp) {
        // A panic of another holder leaves no half-moved plug behind: each move is one assignment.
        let cabling = self.cabling.lock().unwrap_or_else(PoisonError::into_inner);
        (cabling, self.clock.now())
    }

    pub fn clock(&self) -> &Clock {
        &self.clock
    }
}

impl Cabling {
    pub fn new(timing: LldpTiming) -> Self {
        Self { boxes: BTreeMap::new(), cables: Vec::new(), ghosts: Vec::new(), timing }
    }

    /// Puts a box without power in its place.
    pub fn install(&mut self, place: &str, ports: &[String], now: Timestamp) {
        let post = Post { presence: Presence::Off, since: now, ports: ports.to_vec() };
        self.boxes.insert(place.to_owned(), post);
    }

    /// Changes what a box is for its neighbours. A mere new name leaves its start time alone.
    pub fn show(&mut self, place: &str, presence: Presence, now: Timestamp) {
        let Some(post) = self.boxes.get_mut(place) else { return };
        let still_speaking = matches!(post.presence, Presence::Speaking(_))
            && matches!(presence, Presence::Speaking(_));
        if !still_speaking {
            post.since = now;
        }
        if presence == Presence::Off {
            self.ghosts.retain(|ghost| ghost.at.place != place);
        }
        if let Some(post) = self.boxes.get_mut(place) {
            post.presence = presence;
        }
    }

    /// Runs a new cable between two free sockets, or puts a loose plug of an old one back in.
    pub fn connect(&mut self, a: Socket, b: Socket, now: Timestamp) -> Result<(), NoSuchMove> {
        self.must_exist(&a)?;
        self.must_exist(&b)?;
        let (at_a, at_b) = (self.cable_at(&a), self.cable_at(&b));
        match (at_a, at_b) {
            (Some(one), Some(other)) if one == other => Ok(()),
            (Some(index), None) => self.put_loose_end(index, a, b, now),
            (None, Some(index)) => self.put_loose_end(index, b, a, now),
            (Some(_), Some(_)) => Err(NoSuchMove::Taken(b)),
            (None, None) => {
                self.cables.push(Cable { plugs: [Some(a), Some(b)], since: now });
                Ok(())
            }
        }
    }

    /// Takes the plug out of one socket; its other end stays where it is.
    pub fn unplug(&mut self, from: &Socket, now: Timestamp) -> Result<(), NoSuchMove> {
        let (cable, plug) = self.plug_at(from)?;
        self.leave_ghosts(cable, now);
        self.cables[cable].plugs[plug] = None;
        Ok(())
    }

    /// Moves one plug from its socket to a free one.
    pub fn move_plug(
        &mut self,
        from: &Socket,
        to: &Socket,
        now: Timestamp,
    ) -> Result<(), NoSuchMove> {
        self.must_exist(to)?;
        if self.cable_at(to).is_some() {
            return Err(NoSuchMove::Taken(to.clone()));
        }
        let (cable, plug) = self.plug_at(from)?;
        self.leave_ghosts(cable, now);
        self.cables[cable].plugs[plug] = Some(to.clone());
        self.cables[cable].since = now;
        Ok(())
    }

    /// Exchanges the plugs in two sockets.
    pub fn swap(&mut self, a: &Socket, b: &Socket, now: Timestamp) -> Result<(), NoSuchMove> {
        let (first, first_plug) = self.plug_at(a)?;
        let (second, second_plug) = self.plug_at(b)?;
        self.leave_ghosts(first, now);
        self.leave_ghosts(second, now);
        self.cables[first].plugs[first_plug] = Some(b.clone());
        self.cables[second].plugs[second_plug] = Some(a.clone());
        self.cables[first].since = now;
        self.cables[second].since = now;
        Ok(())
    }

    /// Takes the plugs out of all these sockets and puts each where its pair says. A socket without
    /// a plug gives none.
    pub fn change_places(
        &mut self,
        pairs: &[(Socket, Socket)],
        now: Timestamp,
    ) -> Result<(), NoSuchMove> {
        for (from, to) in pairs {
            self.must_exist(from)?;
            self.must_exist(to)?;
            if self.cable_at(to).is_some() && pairs.iter().all(|(from, _)| from != to) {
                return Err(NoSuchMove::Taken(to.clone()));
            }
        }
        let plugs: Vec<(usize, usize, &Socket)> = pairs
            .iter()
            .filter_map(|(from, to)| self.plug_at(from).ok().map(|(cable, end)| (cable, end, to)))
            .collect();
        for (cable, _, _) in &plugs {
            self.leave_ghosts(*cable, now);
        }
        for (cable, end, to) in plugs {
            self.cables[cable].plugs[end] = Some(to.clone());
            self.cables[cable].since = now;
        }
        Ok(())
    }

    /// Where the other end of the cable in this socket is plugged in.
    pub fn far_end(&self, socket: &Socket) -> Option<&Socket> {
        let (cable, plug) = self.plug_at(socket).ok()?;
        self.cables[cable].plugs[1 - plug].as_ref()
    }

    /// The socket that people call `port` on this box, in the long or the short form of its system.
    pub fn socket_called(&self, place: &str, port: &str) -> Option<Socket> {
        let post = self.boxes.get(place)?;
        let short = |kind: Kind, name: &str| kind.short_port(name).eq_ignore_ascii_case(port);
        let called = |name: &&String| {
            name.eq_ignore_ascii_case(port) || Kind::ALL.iter().any(|kind| short(*kind, name))
        };
        Some(Socket::new(place, post.ports.iter().find(called)?.as_str()))
    }

    /// True if both boxes of the cable in this socket have power.
    pub fn link_up(&self, socket: &Socket) -> bool {
        let powered =
            |place: &str| self.boxes.get(place).is_some_and(|post| post.presence != Presence::Off);
        self.far_end(socket).is_some_and(|far| powered(&far.place) && powered(&socket.place))
    }

    /// Everything that this box lists as neighbours now, in the order of its ports, and on each
    /// port the one that is gone before the one that is there.
    pub fn heard_by(&self, place: &str, now: Timestamp) -> Vec<Heard> {
        let Some(post) = self.boxes.get(place) else { return Vec::new() };
        let mut all = Vec::new();
        for port in &post.ports {
            let socket = Socket::new(place, port.as_str());
            let current = self.current_neighbour(&socket, now);
            let remembered = self.ghosts.iter().filter(|ghost| {
                ghost.at == socket
                    && now < ghost.until
                    // The same far end, plugged back in, is one neighbour and not two.
                    && !current.as_ref().is_some_and(|heard| {
                        heard.far.mac == ghost.heard.far.mac
                            && heard.far_port == ghost.heard.far_port
                    })
            });
            all.extend(remembered.map(|ghost| ghost.heard.clone()));
            all.extend(current);
        }
        all
    }

    /// The ports of a box, each with its link.
    pub fn links_of(&self, place: &str) -> Vec<(String, bool)> {
        let ports = self.boxes.get(place).map(|post| post.ports.as_slice()).unwrap_or_default();
        ports
            .iter()
            .map(|port| (port.clone(), self.link_up(&Socket::new(place, port.as_str()))))
            .collect()
    }

    fn current_neighbour(&self, socket: &Socket, now: Timestamp) -> Option<Heard> {
        let (cable, plug) = self.plug_at(socket).ok()?;
        let far = self.cables[cable].plugs[1 - plug].as_ref()?;
        let far_post = self.boxes.get(&far.place)?;
        let Presence::Speaking(face) = &far_post.presence else { return None };
        let own = self.boxes.get(&socket.place)?;
        let begun = own.since.max(far_post.since).max(self.cables[cable].since);
        let first = begun.plus(self.timing.hello);
        (own.presence != Presence::Off && first <= now).then(|| Heard {
            local_port: socket.port.clone(),
            far: face.clone(),
            far_port: far.port.clone(),
            first,
            gone_at: None,
        })
    }

    fn leave_ghosts(&mut self, cable: usize, now: Timestamp) {
        self.ghosts.retain(|ghost| now < ghost.until);
        let sockets: Vec<Socket> = self.cables[cable].plugs.iter().flatten().cloned().collect();
        for at in sockets {
            if let Some(mut heard) = self.current_neighbour(&at, now) {
                heard.gone_at = Some(now);
                self.ghosts.push(Ghost { at, heard, until: now.plus(self.timing.linger) });
            }
        }
    }

    fn put_loose_end(
        &mut self,
        cable: usize,
        held: Socket,
        free: Socket,
        now: Timestamp,
    ) -> Result<(), NoSuchMove> {
        let Some(loose) = self.cables[cable].plugs.iter().position(Option::is_none) else {
            return Err(NoSuchMove::Taken(held));
        };
        self.cables[cable].plugs[loose] = Some(free);
        self.cables[cable].since = now;
        Ok(())
    }

    fn cable_at(&self, socket: &Socket) -> Option<usize> {
        self.plug_at(socket).ok().map(|(cable, _)| cable)
    }

    fn plug_at(&self, socket: &Socket) -> Result<(usize, usize), NoSuchMove> {
        for (index, cable) in self.cables.iter().enumerate() {
            if let Some(plug) = cable.plugs.iter().position(|plug| plug.as_ref() == Some(socket)) {
                return Ok((index, plug));
            }
        }
        Err(NoSuchMove::NothingPlugged(socket.clone()))
    }

    fn must_exist(&self, socket: &Socket) -> Result<(), NoSuchMove> {
        let there =
            self.boxes.get(&socket.place).is_some_and(|post| post.ports.contains(&socket.port));
        there.then_some(()).ok_or_else(|| NoSuchMove::NoSuchPort(socket.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HELLO: Duration = Duration::from_secs(1);
    const LINGER: Duration = Duration::from_secs(10);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    fn face(name: &str, last: u8) -> Presence {
        Presence::Speaking(Face {
            kind: Kind::CiscoIos,
            name: name.into(),
            mac: Mac::new([2, 0, 0, 0, 0, last]),
            description: String::new(),
            address: None,
        })
    }

    /// `acc` with ports 49 and 50, cabled to port 1 of `dist-1` and of `dist-2`, all speaking.
    fn plant() -> Cabling {
        let mut plant = Cabling::new(LldpTiming { hello: HELLO, linger: LINGER });
        plant.install("acc", &["49".into(), "50".into()], at(0));
        plant.install("dist-1", &["1".into(), "2".into()], at(0));
        plant.install("dist-2", &["1".into(), "2".into()], at(0));
        plant.show("acc", face("acc", 1), at(0));
        plant.show("dist-1", face("dist-1", 2), at(0));
        plant.show("dist-2", face("dist-2", 3), at(0));
        plant.connect(Socket::new("acc", "49"), Socket::new("dist-1", "1"), at(0)).unwrap();
        plant.connect(Socket::new("acc", "50"), Socket::new("dist-2", "1"), at(0)).unwrap();
        plant
    }

    fn table(plant: &Cabling, place: &str, seconds: i64) -> Vec<String> {
        plant
            .heard_by(place, at(seconds))
            .iter()
            .map(|h| format!("{} {}:{}", h.local_port, h.far.name, h.far_port))
            .collect()
    }

    #[test]
    fn the_table_follows_the_cables_and_the_names_of_the_moment() {
        let mut plant = plant();
        assert!(table(&plant, "acc", 0).is_empty(), "nobody has said hello yet");
        assert_eq!(table(&plant, "acc", 1), ["49 dist-1:1", "50 dist-2:1"]);
        plant.show("dist-2", face("dist-2-renamed", 3), at(2));
        assert_eq!(table(&plant, "acc", 2), ["49 dist-1:1", "50 dist-2-renamed:1"]);
        plant.show("dist-1", Presence::Booting, at(3));
        assert_eq!(table(&plant, "acc", 3), ["50 dist-2-renamed:1"]);
        assert!(plant.link_up(&Socket::new("acc", "49")), "a booting far end has link");
        plant.show("dist-1", Presence::Off, at(4));
        assert!(!plant.link_up(&Socket::new("acc", "49")));
    }

    #[test]
    fn an_unplugged_neighbour_lingers_beside_the_new_one_until_its_time_ends() {
        let mut plant = plant();
        plant.swap(&Socket::new("acc", "49"), &Socket::new("acc", "50"), at(5)).unwrap();
        assert_eq!(table(&plant, "acc", 5), ["49 dist-1:1", "50 dist-2:1"]);
        assert_eq!(
            table(&plant, "acc", 6),
            ["49 dist-1:1", "49 dist-2:1", "50 dist-2:1", "50 dist-1:1"]
        );
        assert_eq!(table(&plant, "acc", 15), ["49 dist-2:1", "50 dist-1:1"]);
        assert_eq!(table(&plant, "dist-1", 15), ["1 acc:50"]);
    }

    #[test]
    fn a_plug_put_back_is_one_neighbour() {
        let mut plant = plant();
        plant.unplug(&Socket::new("dist-1", "1"), at(5)).unwrap();
        assert!(!plant.link_up(&Socket::new("acc", "49")));
        plant.connect(Socket::new("acc", "49"), Socket::new("dist-1", "1"), at(6)).unwrap();
        assert_eq!(table(&plant, "acc", 8), ["49 dist-1:1", "50 dist-2:1"]);
    }

    #[test]
    fn a_socket_is_found_by_the_name_on_the_box_and_by_its_short_form() {
        let mut plant = plant();
        plant.install("c", &["GigabitEthernet1/0/4".into(), "Ethernet3".into()], at(0));
        let found = |port: &str| plant.socket_called("c", port).map(|socket| socket.port);
        assert_eq!(found("Gi1/0/4").as_deref(), Some("GigabitEthernet1/0/4"));
        assert_eq!(found("gigabitethernet1/0/4").as_deref(), Some("GigabitEthernet1/0/4"));
        assert_eq!(found("Et3").as_deref(), Some("Ethernet3"));
        assert_eq!(found("Gi1/0/44"), None);
    }

    #[test]
    fn a_move_that_hands_could_not_make_is_refused_and_changes_nothing() {
        let mut plant = plant();
        let socket = Socket::new;
        assert_eq!(
            plant.move_plug(&socket("dist-1", "2"), &socket("dist-2", "2"), at(5)),
            Err(NoSuchMove::NothingPlugged(socket("dist-1", "2")))
        );
        assert_eq!(
            plant.move_plug(&socket("dist-1", "1"), &socket("dist-2", "1"), at(5)),
            Err(NoSuchMove::Taken(socket("dist-2", "1")))
        );
        assert_eq!(
            plant.move_plug(&socket("dist-1", "1"), &socket("dist-1", "9"), at(5)),
            Err(NoSuchMove::NoSuchPort(socket("dist-1", "9")))
        );
        assert_eq!(table(&plant, "acc", 6), ["49 dist-1:1", "50 dist-2:1"]);
    }
}
