//! A radix tree: prefixes of strings, found in one walk along the URI whatever their number and lengths.

use crate::wire::allocated;

/// Values by prefix. The root stands for the empty prefix.
#[derive(Debug)]
pub(super) struct PrefixTree<T> {
    root: Node<T>,
    /// What all nodes take, see `Node::heap_bytes`.
    bytes: usize,
}

/// One run of bytes that all prefixes below share. Splits may fall inside a character, so labels are bytes.
#[derive(Debug)]
struct Node<T> {
    label: Box<[u8]>,
    value: Option<T>,
    /// Ordered by the first byte of the label; no two share it.
    children: Vec<Node<T>>,
}

impl<T> Default for PrefixTree<T> {
    fn default() -> Self {
        PrefixTree { root: Node { label: Box::default(), value: None, children: Vec::new() }, bytes: 0 }
    }
}

/// The depth of the tree follows the text of the prefixes, so nothing here recurses over it.
impl<T> Drop for PrefixTree<T> {
    fn drop(&mut self) {
        let mut nodes = std::mem::take(&mut self.root.children);
        while let Some(mut node) = nodes.pop() {
            nodes.append(&mut node.children);
        }
    }
}

impl<T> PrefixTree<T> {
    pub(super) fn insert(&mut self, prefix: &str, value: T) -> Option<T> {
        let PrefixTree { root, bytes } = self;
        let (mut node, mut rest) = (root, prefix.as_bytes());
        while !rest.is_empty() {
            node = match node.position(rest) {
                Ok(index) => node.children.get_mut(index)?,
                Err(index) => {
                    let leaf = Node { label: rest.into(), value: Some(value), children: Vec::new() };
                    *bytes = *bytes + leaf.heap_bytes() - node.heap_bytes();
                    node.children.insert(index, leaf);
                    *bytes += node.heap_bytes();
                    return None;
                }
            };
            let shared = node.label.iter().zip(rest).take_while(|(a, b)| a == b).count();
            if shared < node.label.len() {
                *bytes -= node.heap_bytes();
                node.split(shared);
                *bytes += node.heap_bytes() + node.children.first().map_or(0, Node::heap_bytes);
            }
            rest = rest.get(shared..)?;
        }
        node.value.replace(value)
    }

    pub(super) fn remove(&mut self, prefix: &str) -> Option<T> {
        let mut path = self.path_to(prefix)?;
        let Some(last) = path.pop() else { return self.root.value.take() };
        let is_root = path.is_empty();
        let parent = path.into_iter().try_fold(&mut self.root, |node, index| node.children.get_mut(index))?;
        let child = parent.children.get_mut(last)?;
        let removed = child.value.take()?;
        if child.children.is_empty() {
            let bytes = parent.heap_bytes() + parent.children.remove(last).heap_bytes();
            parent.shrink_if_sparse();
            self.bytes = self.bytes + parent.heap_bytes() - bytes;
            if !is_root {
                parent.join_if_useless(&mut self.bytes);
            }
        } else {
            child.join_if_useless(&mut self.bytes);
        }
        Some(removed)
    }

    /// The memory that the tree takes.
    pub(super) fn heap_bytes(&self) -> usize {
        self.bytes
    }

    /// The memory that one prefix takes at most: a node of its own, and one that it has in common with others.
    pub(super) fn bytes_alone(prefix: &str) -> usize {
        2 * size_of::<Node<T>>() + allocated(prefix.len()) + allocated(1)
    }

    /// Which child to take at each node on the way to the node of exactly this prefix.
    fn path_to(&self, prefix: &str) -> Option<Vec<usize>> {
        let (mut node, mut rest, mut path) = (&self.root, prefix.as_bytes(), Vec::new());
        while !rest.is_empty() {
            let index = node.position(rest).ok()?;
            node = node.children.get(index)?;
            rest = rest.strip_prefix(&*node.label)?;
            path.push(index);
        }
        Some(path)
    }

    pub(super) fn value(&self, prefix: &str) -> Option<&T> {
        let mut found = None;
        self.walk(prefix, |node, rest| {
            if rest.is_empty() {
                found = node.value.as_ref();
            }
        });
        found
    }

    pub(super) fn longest_match(&self, uri: &str) -> Option<&T> {
        let mut longest = None;
        self.walk(uri, |node, _| longest = node.value.as_ref().or(longest));
        longest
    }

    pub(super) fn for_each_match<'a>(&'a self, uri: &str, visit: &mut impl FnMut(&'a T)) {
        self.walk(uri, |node, _| {
            if let Some(value) = &node.value {
                visit(value);
            }
        });
    }

    /// Visits the nodes along `uri`, each with what is left of it below the node.
    fn walk<'a, 'u>(&'a self, uri: &'u str, mut visit: impl FnMut(&'a Node<T>, &'u [u8])) {
        let (mut node, mut rest) = (&self.root, uri.as_bytes());
        loop {
            visit(node, rest);
            let Some(child) = node.position(rest).ok().and_then(|index| node.children.get(index)) else { return };
            let Some(below) = rest.strip_prefix(&*child.label) else { return };
            (node, rest) = (child, below);
        }
    }
}

impl<T> Node<T> {
    /// Where the child is, or would be, that starts as `rest` does.
    fn position(&self, rest: &[u8]) -> Result<usize, usize> {
        if rest.is_empty() {
            return Err(0);
        }
        self.children.binary_search_by(|child| child.label.first().cmp(&rest.first()))
    }

    /// Makes the first `length` bytes of the label a node of their own above the rest.
    fn split(&mut self, length: usize) {
        let Some((upper, lower)) = self.label.split_at_checked(length) else { return };
        let (upper, lower) = (upper.into(), lower.into());
        let lower = Node { label: lower, value: self.value.take(), children: std::mem::take(&mut self.children) };
        self.label = upper;
        self.children = vec![lower];
    }

    /// Undoes `split`: a node without a value and with one child becomes that child. `bytes` is what all nodes take.
    fn join_if_useless(&mut self, bytes: &mut usize) {
        let before = self.heap_bytes();
        if self.value.is_none()
            && self.children.len() == 1
            && let Some(lower) = self.children.pop()
        {
            *bytes -= before + lower.heap_bytes();
            self.label = [&*self.label, &*lower.label].concat().into();
            self.value = lower.value;
            self.children = lower.children;
            *bytes += self.heap_bytes();
        }
    }

    /// Gives back room for children that are no more.
    fn shrink_if_sparse(&mut self) {
        if self.children.len() * 4 <= self.children.capacity() {
            self.children.shrink_to(self.children.len() * 2);
        }
    }

    /// The memory of its label and of the places of its children.
    fn heap_bytes(&self) -> usize {
        allocated(self.label.len()) + allocated(self.children.capacity() * size_of::<Node<T>>())
    }
}
