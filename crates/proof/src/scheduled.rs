//! What `shuttle` lacks of the standard library, built on what it has.

use shuttle::sync::atomic::{AtomicBool, Ordering};

/// A cell that is set once.
#[derive(Debug)]
pub(crate) struct OnceLock<T> {
    value: std::sync::OnceLock<T>,
    /// Each use is a moment at which another thread may go on.
    moment: AtomicBool,
}

impl<T> Default for OnceLock<T> {
    fn default() -> Self {
        Self { value: std::sync::OnceLock::new(), moment: AtomicBool::new(false) }
    }
}

impl<T> OnceLock<T> {
    pub(crate) fn set(&self, value: T) -> Result<(), T> {
        self.moment.store(true, Ordering::SeqCst);
        self.value.set(value)
    }

    pub(crate) fn get(&self) -> Option<&T> {
        self.moment.load(Ordering::SeqCst);
        self.value.get()
    }
}

pub(crate) mod thread {
    use std::sync::Arc;

    use shuttle::sync::atomic::{AtomicBool, Ordering};
    pub(crate) use shuttle::thread::yield_now;
    pub(crate) use std::thread::available_parallelism;

    /// A thread that can be joined. It can also be asked whether it has finished.
    #[derive(Debug)]
    pub(crate) struct JoinHandle<T> {
        thread: shuttle::thread::JoinHandle<T>,
        finished: Arc<AtomicBool>,
    }

    impl<T> JoinHandle<T> {
        pub(crate) fn is_finished(&self) -> bool {
            self.finished.load(Ordering::SeqCst)
        }

        pub(crate) fn join(self) -> std::thread::Result<T> {
            self.thread.join()
        }
    }

    /// Starts threads that borrow from the one that waits for them.
    #[derive(Debug)]
    pub(crate) struct Scope<'scope, 'env> {
        scope: &'scope shuttle::thread::Scope<'scope, 'env>,
        left: Arc<AtomicBool>,
    }

    /// In `shuttle` 0.9 the last thread of a scope wakes the thread that opened the scope, even if
    /// that waits for a lock. So no thread ends before the scope has only threads to wait for.
    pub(crate) fn scope<'env, T>(work: impl for<'scope> FnOnce(&Scope<'scope, 'env>) -> T) -> T {
        let left = Arc::new(AtomicBool::new(false));
        shuttle::thread::scope(|scope| {
            let result = work(&Scope { scope, left: Arc::clone(&left) });
            left.store(true, Ordering::SeqCst);
            result
        })
    }

    impl<'scope> Scope<'scope, '_> {
        pub(crate) fn spawn<T: Send + 'scope>(&self, work: impl FnOnce() -> T + Send + 'scope) {
            let left = Arc::clone(&self.left);
            self.scope.spawn(move || {
                let result = work();
                while !left.load(Ordering::SeqCst) {
                    yield_now();
                }
                result
            });
        }
    }

    /// Starts a thread.
    #[derive(Debug, Default)]
    pub(crate) struct Builder(shuttle::thread::Builder);

    impl Builder {
        pub(crate) fn new() -> Self {
            Self(shuttle::thread::Builder::new())
        }

        pub(crate) fn name(self, name: String) -> Self {
            Self(self.0.name(name))
        }

        pub(crate) fn spawn<T: Send + 'static>(
            self,
            work: impl FnOnce() -> T + Send + 'static,
        ) -> std::io::Result<JoinHandle<T>> {
            let finished = Arc::new(AtomicBool::new(false));
            let done = Arc::clone(&finished);
            let thread = self.0.spawn(move || {
                let result = work();
                done.store(true, Ordering::SeqCst);
                result
            })?;
            Ok(JoinHandle { thread, finished })
        }
    }
}
