//! Writes XML with elements and escaped text, enough for the answers of EC2 and STS.

use std::fmt::Display;

use quick_xml::escape::escape;

/// XML being written.
pub(crate) struct Xml {
    text: String,
}

impl Xml {
    /// A document with one root element.
    pub(crate) fn document(root: &str, inside: impl FnOnce(&mut Self)) -> String {
        let mut xml = Self { text: "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".to_owned() };
        xml.element(root, inside);
        xml.text
    }

    /// An element; `tag` is its name, with attributes if it has some.
    pub(crate) fn element(&mut self, tag: &str, inside: impl FnOnce(&mut Self)) {
        let name = tag.split(' ').next().unwrap_or(tag);
        self.text.extend(["<", tag, ">"]);
        inside(self);
        self.text.extend(["</", name, ">"]);
    }

    /// An element with text in it.
    pub(crate) fn leaf(&mut self, name: &str, text: impl Display) {
        let text = text.to_string();
        self.element(name, |xml| xml.text.push_str(&escape(&text)));
    }

    /// The same, left out when there is nothing to say.
    pub(crate) fn leaf_if_some(&mut self, name: &str, text: Option<impl Display>) {
        if let Some(text) = text {
            self.leaf(name, text);
        }
    }
}
