//! Which fields may hang on a join that does not map its units again (`stale: allowed`, J14): the value of such a field is
//! as of the unit's last mapping, and what the map makes of the rows now proves nothing about it.
//!
//! A list counts as one thing: an item more, or one with another key, can change the addresses of all of them. What is
//! said not to hang on such a join never does; the other way round it is a guess on the safe side.

use crate::{
    expr::{Expr, From},
    map::Entity,
    template::{Item, Node, Object},
};
use model::FieldAddress;

impl Entity {
    /// Whether some content hangs on a join that is `stale: allowed`.
    pub fn reads_stale(&self) -> bool {
        self.inside(&self.to)
    }

    /// Whether this field may hang on one.
    pub fn may_be_stale(&self, address: &FieldAddress) -> bool {
        let names: Vec<_> = address.steps().map(|step| step.name().into_owned()).collect();
        self.below(&self.to, &names)
    }

    fn below(&self, object: &Object, names: &[String]) -> bool {
        let Some((name, inner)) = names.split_first() else { return self.inside(object) };
        let called = |member: &str| *member == **name || member.strip_prefix('_') == Some(name);
        let members = object.members.iter().filter(|member| called(&member.name) || member.base == name);
        members.into_iter().any(|member| match &member.node {
            Node::Object(object) => self.below(object, inner),
            node => self.node(node),
        })
    }

    fn inside(&self, object: &Object) -> bool {
        object.members.iter().any(|member| self.node(&member.node))
    }

    fn node(&self, node: &Node) -> bool {
        match node {
            Node::Fixed(_) => false,
            Node::Leaf(leaf) => self.expression(&leaf.expr),
            Node::Object(object) => self.inside(object),
            Node::List(items) => items.iter().any(|item| match item {
                Item::One(node) => self.node(node),
                Item::Each { source, node } => self.is_stale(*source) || self.node(node),
            }),
        }
    }

    fn expression(&self, expr: &Expr) -> bool {
        match expr {
            Expr::Literal(_) => false,
            Expr::Column { from, .. } => self.is_stale(*from),
            Expr::Not(of) | Expr::IsNull(of) | Expr::Code { of, .. } | Expr::Part { of, .. } => self.expression(of),
            Expr::And(a, b) | Expr::Or(a, b) | Expr::Equal(a, b) => self.expression(a) || self.expression(b),
            Expr::If(test, yes, no) => [test, yes, no].into_iter().any(|expr| self.expression(expr)),
            Expr::Ref { key: parts, .. } | Expr::Call(_, parts) => parts.iter().any(|expr| self.expression(expr)),
        }
    }

    /// The root is 0, join n is n + 1.
    fn is_stale(&self, from: From) -> bool {
        from.checked_sub(1).and_then(|join| self.joins.get(join)).is_some_and(|join| !join.remap)
    }
}
