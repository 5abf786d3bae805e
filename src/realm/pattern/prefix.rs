//! A radix tree: prefixes of strings, found in one walk along the URI whatever their number and lengths.

/// Values by prefix. The root stands for the empty prefix.
#[derive(Debug)]
pub(super) struct PrefixTree<T> {
    root: Node<T>,
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
        PrefixTree { root: Node { label: Box::default(), value: None, children: Vec::new() } }
    }
}

impl<T> PrefixTree<T> {
    pub(super) fn insert(&mut self, prefix: &str, value: T) -> Option<T> {
        self.root.insert(prefix.as_bytes(), value)
    }

    pub(super) fn remove(&mut self, prefix: &str) -> Option<T> {
        self.root.remove(prefix.as_bytes())
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
            let Some(child) = node.position(rest).ok().map(|index| &node.children[index]) else { return };
            let Some(below) = rest.strip_prefix(&*child.label) else { return };
            (node, rest) = (child, below);
        }
    }
}

impl<T> Node<T> {
    /// Where the child is, or would be, that starts as `rest` does.
    fn position(&self, rest: &[u8]) -> Result<usize, usize> {
        let Some(first) = rest.first() else { return Err(0) };
        self.children.binary_search_by_key(first, |child| child.label[0])
    }

    fn insert(&mut self, rest: &[u8], value: T) -> Option<T> {
        if rest.is_empty() {
            return self.value.replace(value);
        }
        match self.position(rest) {
            Err(index) => {
                self.children.insert(index, Node { label: rest.into(), value: Some(value), children: Vec::new() });
                None
            }
            Ok(index) => {
                let child = &mut self.children[index];
                let shared = child.label.iter().zip(rest).take_while(|(a, b)| a == b).count();
                if shared < child.label.len() {
                    child.split(shared);
                }
                child.insert(&rest[shared..], value)
            }
        }
    }

    /// Makes the first `length` bytes of the label a node of their own above the rest.
    fn split(&mut self, length: usize) {
        let lower = Node {
            label: self.label[length..].into(),
            value: self.value.take(),
            children: std::mem::take(&mut self.children),
        };
        self.label = self.label[..length].into();
        self.children = vec![lower];
    }

    fn remove(&mut self, rest: &[u8]) -> Option<T> {
        if rest.is_empty() {
            return self.value.take();
        }
        let index = self.position(rest).ok()?;
        let child = &mut self.children[index];
        let removed = child.remove(rest.strip_prefix(&*child.label)?)?;
        if child.value.is_none() {
            match child.children.len() {
                0 => drop(self.children.remove(index)),
                1 => child.join(),
                _ => {}
            }
        }
        Some(removed)
    }

    /// Undoes `split`: a node without a value and with one child becomes that child.
    fn join(&mut self) {
        let lower = self.children.pop().expect("a node is joined with its only child");
        self.label = [&*self.label, &*lower.label].concat().into();
        self.value = lower.value;
        self.children = lower.children;
    }
}
