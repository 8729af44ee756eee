//! What a source file names: its syntax tree as `syn` reads it.

use proc_macro2::{TokenStream, TokenTree};
use syn::punctuated::Punctuated;
use syn::visit::{self, Visit};
use syn::{Attribute, ImplItemFn, Item, ItemMod, ItemUse, Meta, Token, UseTree, Visibility};

/// What the code of one file names, each with its line. Code that only tests compile does not count.
#[derive(Default)]
pub(super) struct Names {
    /// The module of the file, and within it the inline module that is being read.
    pub(super) at: Vec<String>,
    /// Paths written out, methods as `.name()`, macros as `name!`.
    pub(super) found: Vec<(usize, Vec<String>, String)>,
    /// The modules in files of their own that only tests compile.
    pub(super) tests: Vec<String>,
}

impl Names {
    fn add(&mut self, line: usize, name: impl Into<String>) {
        self.found.push((line, self.at.clone(), name.into()));
    }

    fn add_tree(&mut self, tree: &UseTree, prefix: &str) {
        let (name, line) = match tree {
            UseTree::Path(path) => {
                return self.add_tree(&path.tree, &format!("{prefix}{}::", path.ident));
            }
            UseTree::Group(group) => return group.items.iter().for_each(|tree| self.add_tree(tree, prefix)),
            UseTree::Name(name) => (name.ident.to_string(), name.ident.span()),
            UseTree::Rename(name) => (name.ident.to_string(), name.ident.span()),
            UseTree::Glob(glob) => ("*".to_owned(), glob.star_token.spans[0]),
        };
        self.add(line.start().line, format!("{prefix}{name}"));
    }

    /// The body of a macro is no syntax tree, only words.
    fn add_tokens(&mut self, tokens: TokenStream) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let is = |at: usize, mark: char| matches!(tokens.get(at), Some(TokenTree::Punct(it)) if it.as_char() == mark);
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            let begin = at;
            match token {
                TokenTree::Group(group) => self.add_tokens(group.stream()),
                TokenTree::Ident(word) => {
                    let mut name = word.to_string();
                    while let (true, true, Some(TokenTree::Ident(next))) =
                        (is(at + 1, ':'), is(at + 2, ':'), tokens.get(at + 3))
                    {
                        name = format!("{name}::{next}");
                        at += 3;
                    }
                    let is_call =
                        matches!(tokens.get(at + 1), Some(TokenTree::Group(it)) if it.stream().is_empty());
                    if begin > 0 && is(begin - 1, '.') && is_call {
                        name = format!(".{name}()");
                    } else if is(at + 1, '!') && matches!(tokens.get(at + 2), Some(TokenTree::Group(_))) {
                        name = format!("{}!", name.rsplit("::").next().unwrap());
                    }
                    self.add(word.span().start().line, name);
                }
                _ => {}
            }
            at += 1;
        }
    }
}

impl<'a> Visit<'a> for Names {
    /// It names only what the module lies in.
    fn visit_visibility(&mut self, _: &'a Visibility) {}

    fn visit_item(&mut self, item: &'a Item) {
        let (Item::Const(syn::ItemConst { attrs, .. })
        | Item::Enum(syn::ItemEnum { attrs, .. })
        | Item::Fn(syn::ItemFn { attrs, .. })
        | Item::Impl(syn::ItemImpl { attrs, .. })
        | Item::Macro(syn::ItemMacro { attrs, .. })
        | Item::Mod(ItemMod { attrs, .. })
        | Item::Static(syn::ItemStatic { attrs, .. })
        | Item::Struct(syn::ItemStruct { attrs, .. })
        | Item::Trait(syn::ItemTrait { attrs, .. })
        | Item::Type(syn::ItemType { attrs, .. })
        | Item::Use(ItemUse { attrs, .. })) = item
        else {
            return visit::visit_item(self, item);
        };
        match item {
            Item::Mod(module) if is_test(attrs) => {
                self.tests.extend(module.content.is_none().then(|| module.ident.to_string()));
            }
            _ if is_test(attrs) => {}
            _ => visit::visit_item(self, item),
        }
    }

    fn visit_impl_item_fn(&mut self, function: &'a ImplItemFn) {
        if !is_test(&function.attrs) {
            visit::visit_impl_item_fn(self, function);
        }
    }

    fn visit_item_mod(&mut self, module: &'a ItemMod) {
        self.at.push(module.ident.to_string());
        visit::visit_item_mod(self, module);
        self.at.pop();
    }

    fn visit_item_use(&mut self, import: &'a ItemUse) {
        self.add_tree(&import.tree, "");
    }

    fn visit_path(&mut self, path: &'a syn::Path) {
        let words: Vec<_> = path.segments.iter().map(|word| word.ident.to_string()).collect();
        self.add(path.segments[0].ident.span().start().line, words.join("::"));
        visit::visit_path(self, path);
    }

    fn visit_expr_method_call(&mut self, call: &'a syn::ExprMethodCall) {
        if call.args.is_empty() {
            self.add(call.method.span().start().line, format!(".{}()", call.method));
        }
        visit::visit_expr_method_call(self, call);
    }

    fn visit_macro(&mut self, call: &'a syn::Macro) {
        let name = &call.path.segments.last().unwrap().ident;
        self.add(name.span().start().line, format!("{name}!"));
        self.add_tokens(call.tokens.clone());
        visit::visit_macro(self, call);
    }

    fn visit_meta_list(&mut self, list: &'a syn::MetaList) {
        self.add_tokens(list.tokens.clone());
    }
}

/// Whether only tests compile what has these attributes.
fn is_test(attrs: &[Attribute]) -> bool {
    fn holds(condition: &Meta) -> bool {
        let Meta::List(list) = condition else {
            return ["test", "fuzzing", "doctest"].iter().any(|name| condition.path().is_ident(name));
        };
        let parts = list.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated).unwrap();
        match () {
            () if list.path.is_ident("all") => parts.iter().any(holds),
            () if list.path.is_ident("any") => parts.iter().all(holds),
            () => false,
        }
    }
    attrs.iter().any(|attr| attr.path().is_ident("cfg") && holds(&attr.parse_args().unwrap()))
}
