//! Who is connected, and who has to leave when another one comes?

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::task::AbortHandle;

use super::flight::Watch;

/// One host may hold this part of the connections, and [`HOST_CONNECTIONS_MIN`] in any case: behind
/// a NAT a whole site is one host.
const HOST_SHARE: usize = 4;
const HOST_CONNECTIONS_MIN: usize = 16;

/// The connections of the server. Clones share them.
#[derive(Debug, Clone)]
pub struct Crowd {
    connections_max: usize,
    guests: Arc<Mutex<Guests>>,
}

#[derive(Debug, Default)]
struct Guests {
    last: u64,
    /// The oldest first.
    by_number: BTreeMap<u64, Guest>,
    /// Who has none is not in here.
    by_host: HashMap<IpAddr, usize>,
}

#[derive(Debug)]
struct Guest {
    host: IpAddr,
    watch: Arc<Watch>,
    /// `None` until its task is there.
    task: Option<AbortHandle>,
}

/// A connection's place; free again when it is dropped.
#[derive(Debug)]
pub struct Seat {
    number: u64,
    guests: Arc<Mutex<Guests>>,
}

impl Crowd {
    pub fn new(connections_max: usize) -> Self {
        Self { connections_max, guests: Arc::default() }
    }

    /// A place for a connection from this host, if there is one or one can be made: the oldest
    /// connection on which nothing is asked and nothing sent has to leave.
    pub fn admit(&self, host: IpAddr, watch: &Arc<Watch>) -> Option<Seat> {
        let mut guests = locked(&self.guests);
        let host_max = (self.connections_max / HOST_SHARE).max(HOST_CONNECTIONS_MIN);
        let held = guests.by_host.get(&host).copied().unwrap_or(0);
        let of_the_host = held >= host_max;
        if of_the_host || guests.by_number.len() >= self.connections_max {
            let idle = |(number, guest): (&u64, &Guest)| {
                let may_leave = (!of_the_host || guest.host == host) && guest.watch.is_idle();
                may_leave.then_some(*number)
            };
            let leaving = guests.by_number.iter().find_map(idle)?;
            let task = guests.leave(leaving)?;
            task.abort();
        }
        guests.last += 1;
        let number = guests.last;
        *guests.by_host.entry(host).or_default() += 1;
        guests.by_number.insert(number, Guest { host, watch: Arc::clone(watch), task: None });
        Some(Seat { number, guests: Arc::clone(&self.guests) })
    }

    /// This task serves the connection in this place.
    pub fn serves(&self, number: u64, task: AbortHandle) {
        if let Some(guest) = locked(&self.guests).by_number.get_mut(&number) {
            guest.task = Some(task);
        }
    }
}

impl Seat {
    pub fn number(&self) -> u64 {
        self.number
    }
}

impl Guests {
    fn leave(&mut self, number: u64) -> Option<AbortHandle> {
        let guest = self.by_number.remove(&number)?;
        if let Some(held) = self.by_host.get_mut(&guest.host) {
            *held -= 1;
            if *held == 0 {
                self.by_host.remove(&guest.host);
            }
        }
        guest.task
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        locked(&self.guests).leave(self.number);
    }
}

fn locked(guests: &Mutex<Guests>) -> MutexGuard<'_, Guests> {
    // Nothing under this lock can panic half way.
    guests.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Guest {
        seat: Seat,
        watch: Arc<Watch>,
        task: tokio::task::JoinHandle<()>,
    }

    fn enter(crowd: &Crowd, host: u8) -> Option<Guest> {
        let watch = Arc::new(Watch::default());
        let seat = crowd.admit([192, 0, 2, host].into(), &watch)?;
        let task = tokio::spawn(std::future::pending());
        crowd.serves(seat.number(), task.abort_handle());
        Some(Guest { seat, watch, task })
    }

    async fn is_sent_away(guest: &mut Guest) -> bool {
        tokio::task::yield_now().await;
        guest.task.is_finished()
    }

    #[tokio::test]
    async fn the_oldest_idle_connection_leaves_and_a_busy_one_stays() {
        let crowd = Crowd::new(3);
        let mut guests: Vec<Guest> = (1..=3).map(|host| enter(&crowd, host).unwrap()).collect();
        let asking = Arc::clone(&guests[0].watch);
        let busy = asking.asking();
        let fourth = enter(&crowd, 4);
        assert!(fourth.is_some());
        assert!(!is_sent_away(&mut guests[0]).await, "it is being answered");
        assert!(is_sent_away(&mut guests[1]).await);
        assert!(!is_sent_away(&mut guests[2]).await);
        drop(busy);
        let fifth = enter(&crowd, 5);
        assert!(fifth.is_some() && is_sent_away(&mut guests[0]).await);
    }

    #[tokio::test]
    async fn where_all_are_busy_nobody_enters_and_whoever_leaves_makes_room() {
        let crowd = Crowd::new(2);
        let guests: Vec<Guest> = (1..=2).map(|host| enter(&crowd, host).unwrap()).collect();
        let busy: Vec<_> = guests.iter().map(|guest| guest.watch.asking()).collect();
        assert!(enter(&crowd, 3).is_none());
        drop((busy, guests));
        assert!(enter(&crowd, 3).is_some());
    }

    #[tokio::test]
    async fn one_host_has_a_part_of_the_places_and_sends_its_own_away() {
        let crowd = Crowd::new(80);
        let mut other = enter(&crowd, 1).unwrap();
        let mut own: Vec<Guest> = (0..20).map(|_| enter(&crowd, 2).unwrap()).collect();
        let more = enter(&crowd, 2).unwrap();
        assert!(is_sent_away(&mut own[0]).await && !is_sent_away(&mut other).await);
        let busy: Vec<_> = own[1..].iter().chain([&more]).map(|it| it.watch.asking()).collect();
        assert!(enter(&crowd, 2).is_none() && enter(&crowd, 3).is_some());
        drop(busy);
        assert!(more.seat.number() > other.seat.number());
    }
}
