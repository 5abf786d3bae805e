//! A tree of URI components in which an empty component stands for any one.

use std::collections::HashMap;

/// Values by wildcard pattern.
#[derive(Debug)]
pub(super) struct WildcardTree<T> {
    root: Node<T>,
}

#[derive(Debug)]
struct Node<T> {
    value: Option<T>,
    given: HashMap<Box<str>, Node<T>>,
    any: Option<Box<Node<T>>>,
}

impl<T> Default for WildcardTree<T> {
    fn default() -> Self {
        WildcardTree { root: Node::new() }
    }
}

impl<T> WildcardTree<T> {
    pub(super) fn insert(&mut self, pattern: &str, value: T) -> Option<T> {
        let mut node = &mut self.root;
        for component in pattern.split('.') {
            node = match component {
                "" => node.any.get_or_insert_with(|| Box::new(Node::new())),
                _ => node.given.entry(component.into()).or_insert_with(Node::new),
            };
        }
        node.value.replace(value)
    }

    pub(super) fn remove(&mut self, pattern: &str) -> Option<T> {
        self.root.remove(Some(pattern))
    }

    pub(super) fn value(&self, pattern: &str) -> Option<&T> {
        let mut node = &self.root;
        for component in pattern.split('.') {
            node = node.child(component)?;
        }
        node.value.as_ref()
    }

    pub(super) fn for_each_match<'a>(&'a self, uri: &str, visit: &mut impl FnMut(&'a T)) {
        self.root.find(Some(uri), &mut |value| {
            visit(value);
            None::<()>
        });
    }

    /// The first that `find` comes to: it tries the given component before the wildcard, and of two patterns that cover
    /// the same URI the one that is given where they first differ has the longer run before that wildcard.
    pub(super) fn best_match(&self, uri: &str) -> Option<&T> {
        self.root.find(Some(uri), &mut Some)
    }
}

impl<T> Node<T> {
    fn new() -> Node<T> {
        Node { value: None, given: HashMap::new(), any: None }
    }

    fn child(&self, component: &str) -> Option<&Node<T>> {
        match component {
            "" => self.any.as_deref(),
            _ => self.given.get(component),
        }
    }

    /// Offers every value whose pattern covers `rest`, given components first, until `visit` has what it looked for.
    /// `rest` is None below the last component. The depth of the recursion is bounded by that of the patterns in the
    /// tree.
    fn find<'a, R>(&'a self, rest: Option<&str>, visit: &mut impl FnMut(&'a T) -> Option<R>) -> Option<R> {
        let Some(rest) = rest else { return self.value.as_ref().and_then(visit) };
        if self.given.is_empty() && self.any.is_none() {
            return None;
        }
        let (component, below) = first_component(rest);
        let given = self.given.get(component).and_then(|node| node.find(below, visit));
        given.or_else(|| self.any.as_ref().and_then(|node| node.find(below, visit)))
    }

    fn remove(&mut self, rest: Option<&str>) -> Option<T> {
        let Some(rest) = rest else { return self.value.take() };
        let (component, below) = first_component(rest);
        if component.is_empty() {
            let removed = self.any.as_mut()?.remove(below);
            self.any.take_if(|node| node.is_unused());
            removed
        } else {
            let node = self.given.get_mut(component)?;
            let removed = node.remove(below);
            if node.is_unused() {
                self.given.remove(component);
            }
            removed
        }
    }

    fn is_unused(&self) -> bool {
        self.value.is_none() && self.given.is_empty() && self.any.is_none()
    }
}

fn first_component(uri: &str) -> (&str, Option<&str>) {
    uri.split_once('.').map_or((uri, None), |(component, below)| (component, Some(below)))
}
