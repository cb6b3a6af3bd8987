//! The writer's thread: takes what waits, stores it, and brings the tables up to date when there is
//! time, when much waits, or when somebody asks.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use crate::service::memory::Commit;
use crate::store::desk::Ticket;
use crate::store::keeper::Keeper;

/// Commits in one flush: enough to hide the flush, few enough that none waits long.
const GROUP: usize = 1024;

/// Without a commit for so long, what waits is brought to the tables. Devices take longer than this
/// from one step to the next only when they are few.
const REST: Duration = Duration::from_millis(250);

/// Until the tables are tried again after the disk did not take them.
const RETRY: Duration = Duration::from_secs(1);

/// What the thread found when it looked.
enum Found {
    Commit(Commit),
    Nothing,
    /// Nobody can commit any more.
    End,
}

struct Inbox {
    commits: mpsc::Receiver<Commit>,
    waker: Waker,
}

/// Wakes a thread that is parked.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

impl Inbox {
    /// Waits for a commit at most this long; without a patience for ever.
    fn next(&mut self, mut patience: Option<Duration>) -> Found {
        let mut cx = Context::from_waker(&self.waker);
        loop {
            match self.commits.poll_recv(&mut cx) {
                Poll::Ready(Some(commit)) => return Found::Commit(commit),
                Poll::Ready(None) => return Found::End,
                Poll::Pending => {}
            }
            match patience {
                Some(Duration::ZERO) => return Found::Nothing,
                Some(some) => {
                    thread::park_timeout(some);
                    patience = Some(Duration::ZERO);
                }
                None => thread::park(),
            }
        }
    }
}

/// Runs until the last [`Memory`](crate::service::memory::Memory) is dropped, and leaves the tables
/// up to date.
pub fn run(
    mut keeper: Keeper,
    commits: mpsc::Receiver<Commit>,
    (tickets, loss): (&Receiver<Ticket>, &watch::Sender<Option<String>>),
) {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut inbox = Inbox { commits, waker };
    let mut group = VecDeque::with_capacity(GROUP);
    loop {
        match inbox.next(patience(&keeper)) {
            Found::Commit(commit) => {
                group.push_back(commit);
                while group.len() < GROUP
                    && let Ok(commit) = inbox.commits.try_recv()
                {
                    group.push_back(commit);
                }
                while !group.is_empty() {
                    keeper.store(&mut group);
                    keeper.checkpoint();
                }
            }
            Found::Nothing if keeper.sweeping() => {
                keeper.slice();
                keeper.checkpoint();
            }
            Found::Nothing => keeper.backlog.seal(),
            Found::End => break,
        }
        while let Ok(ticket) = tickets.try_recv() {
            keeper.ask(ticket);
        }
        make_room(&mut keeper);
        if keeper.broken.is_some() && loss.borrow().is_none() {
            loss.send_replace(keeper.broken.clone());
        }
    }
    keeper.apply_all();
}

fn patience(keeper: &Keeper) -> Option<Duration> {
    if keeper.backlog.is_empty() || keeper.broken.is_some() {
        None
    } else if keeper.stuck.is_some() {
        Some(RETRY)
    } else if keeper.sweeping() {
        Some(Duration::ZERO)
    } else {
        Some(REST)
    }
}

/// Slices between groups while commits keep coming.
pub fn make_room(keeper: &mut Keeper) {
    if keeper.has_much() && !keeper.sweeping() {
        keeper.backlog.seal();
    }
    // Also where the disk did not take it before: it may have room again.
    if keeper.has_much() || keeper.questions.are_waiting() {
        keeper.slice();
        keeper.checkpoint();
    }
    while keeper.has_too_much() && keeper.sweeping() && keeper.stuck.is_none() {
        keeper.slice();
        keeper.checkpoint();
    }
}
