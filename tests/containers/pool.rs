//! Which test uses which stack, and beside which others.
//!
//! Starting a stack takes half a minute, so tests share one if they leave it as it is. Those that don't get one of a few
//! others to themselves for a while, and give it back as it was.

use std::ops::Deref;
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::stack::Stack;

/// At most so many stacks are started for tests that need one to themselves. They mostly wait for containers to start.
const MOST: usize = 2;

/// Seconds between health checks: of the stack that tests share, which starts once, and of the others, whose tests wait for
/// services to become healthy.
const SELDOM: u32 = 6;
const OFTEN: u32 = 2;

/// Whoever runs holds this, and whoever needs the machine's processors alone is the only one to hold it.
static MACHINE: RwLock<()> = RwLock::new(());

/// A part of the machine, for a test that uses no stack of ours.
pub fn machine() -> RwLockReadGuard<'static, ()> {
    MACHINE.read().unwrap_or_else(PoisonError::into_inner)
}

/// The stack that many tests use at the same time.
pub struct Shared {
    stack: &'static Stack,
    _machine: RwLockReadGuard<'static, ()>,
}

impl Deref for Shared {
    type Target = Stack;

    fn deref(&self) -> &Stack {
        self.stack
    }
}

pub fn shared() -> Shared {
    static STACK: OnceLock<Result<Stack, String>> = OnceLock::new();
    let machine = machine();
    // Each test says why there is no stack, and none tries again.
    let stack = STACK.get_or_init(|| start(SELDOM)).as_ref().unwrap_or_else(|reason| did_not_start(reason));
    Shared { stack, _machine: machine }
}

/// A stack that one test uses. It goes back to the pool, unless the test fails.
pub struct Exclusive<Machine> {
    /// None only while this is dropped.
    stack: Option<Stack>,
    _machine: Machine,
}

/// A stack for a test that changes or breaks something for a while.
pub fn exclusive() -> Exclusive<RwLockReadGuard<'static, ()>> {
    let stack = Some(take());
    Exclusive { stack, _machine: machine() }
}

/// The same for a test that measures how long something takes, or loads the machine: no other test runs meanwhile.
pub fn quiet() -> Exclusive<RwLockWriteGuard<'static, ()>> {
    let stack = Some(take());
    Exclusive { stack, _machine: MACHINE.write().unwrap_or_else(PoisonError::into_inner) }
}

impl<Machine> Deref for Exclusive<Machine> {
    type Target = Stack;

    fn deref(&self) -> &Stack {
        self.stack.as_ref().unwrap()
    }
}

impl<Machine> Drop for Exclusive<Machine> {
    fn drop(&mut self) {
        let Some(stack) = self.stack.take() else { return };
        if std::thread::panicking() {
            // Nobody knows what the test has left behind, so the next one gets a stack that is new.
            eprintln!("the stack of this test is removed, because the test has failed");
            stack.discard();
            pool().started -= 1;
        } else {
            pool().idle.push(stack);
        }
        FREED.notify_one();
    }
}

struct Pool {
    idle: Vec<Stack>,
    started: usize,
    /// Why one did not start.
    failure: Option<String>,
}

static POOL: Mutex<Pool> = Mutex::new(Pool { idle: Vec::new(), started: 0, failure: None });
static FREED: Condvar = Condvar::new();

fn pool() -> MutexGuard<'static, Pool> {
    POOL.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes a stack out of the pool, and starts one if there is none and may be one more.
fn take() -> Stack {
    let is_to_wait = |pool: &mut Pool| pool.failure.is_none() && pool.idle.is_empty() && pool.started == MOST;
    let mut pool = FREED.wait_while(pool(), is_to_wait).unwrap_or_else(PoisonError::into_inner);
    if let Some(reason) = &pool.failure {
        did_not_start(reason);
    }
    if let Some(stack) = pool.idle.pop() {
        return stack;
    }
    pool.started += 1;
    drop(pool);
    let _machine = machine();
    start(OFTEN).unwrap_or_else(|reason| {
        self::pool().failure = Some(reason.clone());
        FREED.notify_all();
        did_not_start(&reason)
    })
}

fn start(pause: u32) -> Result<Stack, String> {
    std::panic::catch_unwind(|| Stack::start(pause)).map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string)).unwrap_or_default()
    })
}

fn did_not_start(reason: &str) -> ! {
    panic!("the stack did not start: {reason}")
}
