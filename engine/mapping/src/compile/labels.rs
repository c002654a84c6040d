//! Compiles `security:`: how confidential a unit is (clinical S19).

use super::{
    tree::{Here, Tree},
    words,
};
use crate::{
    check::{self, Use},
    error::Place,
    r4::Group,
    template::{Item, Leaf, Member, Node, Object, Primitive},
    types::{Texts, Type},
    yaml::Node as Yaml,
};
use model::{Json, ResourceType};

impl Tree<'_, '_> {
    /// `security:` as labels: one code of v3-Confidentiality, or a list of codings.
    pub(super) fn security(&mut self, node: &Yaml, resource: &ResourceType) -> Option<Member> {
        let spot = Group::of(self.elements, "Meta")?.member("security")?;
        let path = format!("{resource}.meta.security");
        let node = match words::expression(node) {
            Some((text, at)) => self.confidentiality(text, at, &path)?,
            None => {
                let made = self.element(node, &Here { spot, path: &path, binding: None, targets: None })?;
                self.labels(made, node.at)?
            }
        };
        Some(Member { name: "security".into(), node, required: Some(path.into()), base: "security", whole: None })
    }

    /// A label says its code or the unit parks: a system alone labels nothing.
    fn labels(&mut self, mut node: Node, at: Place) -> Option<Node> {
        let mut good = true;
        match &mut node {
            Node::List(items) => {
                for item in items {
                    let (Item::One(node) | Item::Each { node, .. }) = item;
                    good &= match node {
                        Node::Object(coding) => coding.members.iter_mut().any(|member| {
                            if let (Node::Leaf(leaf), "code") = (&mut member.node, member.base) {
                                leaf.required = true;
                            }
                            member.base == "code"
                        }),
                        Node::Fixed(json) => json.get("code").is_some(),
                        Node::Leaf(_) | Node::List(_) => false,
                    };
                }
            }
            Node::Fixed(json) => {
                good = json.items().is_some_and(|items| items.iter().all(|item| item.get("code").is_some()))
            }
            Node::Leaf(_) | Node::Object(_) => {}
        }
        if !good {
            self.faults.add(at, "a label has no `code`", "write `{system: .., code: ..}`");
            return None;
        }
        Some(node)
    }

    fn confidentiality(&mut self, text: &str, at: Place, path: &str) -> Option<Node> {
        let typed = check::expression(text, at, self.scope, Use::Content(None), self.faults)?;
        let known = ["U", "L", "M", "N", "R", "V"];
        let good = matches!(&typed.texts, Texts::Only(texts) if texts.iter().all(|text| known.contains(&&**text)));
        if typed.ty != Type::Text || !good {
            let remedy = "look it up in a code table whose values are among U, L, M, N, R, V";
            self.faults.add(at, "the label may be none of v3-Confidentiality", remedy);
            return None;
        }
        let leaf =
            Leaf { expr: typed.expr, write: Primitive::Code, path: path.into(), required: true, texts: typed.texts };
        let system = Json::text("http://terminology.hl7.org/CodeSystem/v3-Confidentiality");
        let member = |base: &'static str, node| Member { name: base.into(), node, required: None, base, whole: None };
        let coding = Object { members: vec![member("system", Node::Fixed(system)), member("code", Node::Leaf(leaf))] };
        Some(Node::List(vec![Item::One(Node::Object(coding))]))
    }
}
