//! The supervision tree: when a task ends, all tasks spawned from its context end.
//!
//! `lookup`'s peer actor relies on it to stop its sender and receiver.

use super::lock;
use futures::future::AbortHandle;
use std::sync::{Arc, Mutex, Weak};

/// Children above which finished ones are swept out, at every doubling.
const SWEEP_CHILDREN: usize = 64;

/// A node of the tree: one context, and at most one task.
#[derive(Default)]
pub(super) struct Branch {
    state: Mutex<State>,
    /// Keeps ancestors reachable from the root while a descendant lives.
    _parent: Option<Arc<Branch>>,
}

#[derive(Default)]
struct State {
    children: Vec<Weak<Branch>>,
    task: Option<AbortHandle>,
    aborted: bool,
}

impl Branch {
    /// A child of `parent`; `None` if that has ended.
    pub(super) fn live_child(parent: &Arc<Self>) -> Option<Arc<Self>> {
        let mut state = lock(&parent.state);
        if state.aborted {
            return None;
        }
        let count = state.children.len();
        if count >= SWEEP_CHILDREN && count.is_power_of_two() {
            state.children.retain(|child| child.strong_count() > 0);
        }
        let child = Arc::new(Self {
            state: Mutex::default(),
            _parent: Some(parent.clone()),
        });
        state.children.push(Arc::downgrade(&child));
        Some(child)
    }

    /// A child of `parent`, already ended if that has.
    pub(super) fn child(parent: &Arc<Self>) -> Arc<Self> {
        Self::live_child(parent).unwrap_or_else(|| {
            Arc::new(Self {
                state: Mutex::new(State {
                    aborted: true,
                    ..State::default()
                }),
                _parent: None,
            })
        })
    }

    /// Ties a task to this branch; aborts it at once if the branch has ended.
    pub(super) fn register(&self, task: AbortHandle) {
        let mut state = lock(&self.state);
        if state.aborted {
            drop(state);
            task.abort();
        } else {
            assert!(state.task.is_none(), "one task per context");
            state.task = Some(task);
        }
    }

    /// Ends this branch and everything below it.
    pub(super) fn abort(self: &Arc<Self>) {
        let mut pending = vec![self.clone()];
        while let Some(branch) = pending.pop() {
            let (task, children) = {
                let mut state = lock(&branch.state);
                if state.aborted {
                    continue;
                }
                state.aborted = true;
                (state.task.take(), std::mem::take(&mut state.children))
            };
            if let Some(task) = task {
                task.abort();
            }
            pending.extend(children.iter().filter_map(Weak::upgrade));
        }
    }
}

/// Ends the branch when its task's future is dropped, however that comes about.
pub(super) struct AbortOnDrop(pub(super) Arc<Branch>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn abort_reaches_grandchildren_and_late_children() {
        let root = Arc::new(Branch::default());
        let child = Branch::child(&root);
        let grandchild = Branch::child(&child);
        let (task, _registration) = AbortHandle::new_pair();
        grandchild.register(task.clone());
        drop(AbortOnDrop(root));
        assert!(task.is_aborted());
        assert!(Branch::live_child(&grandchild).is_none());

        let late = Branch::child(&child);
        let (task, _registration) = AbortHandle::new_pair();
        late.register(task.clone());
        assert!(task.is_aborted());
    }

    #[test]
    fn abort_spares_siblings() {
        let root = Arc::new(Branch::default());
        let [left, right] = [Branch::child(&root), Branch::child(&root)];
        left.abort();
        assert!(Branch::live_child(&left).is_none());
        assert!(Branch::live_child(&right).is_some());
    }

    #[test]
    fn dropped_children_are_swept() {
        let root = Arc::new(Branch::default());
        for _ in 0..10_000 {
            drop(Branch::child(&root));
        }
        assert!(lock(&root.state).children.len() <= SWEEP_CHILDREN);
    }
}
