//! The cluster that kubectl, helm and their like act on, by kubeconfig.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::Here;
use super::kubeconfig::{self, Kubeconfig};
use super::reader::Reader;
use crate::request::Fact;

/// The context that the argv names, else the current one of the kubeconfig.
pub(super) fn context(here: &Here<'_>) -> Result<Fact, String> {
    let mut reader = Reader::default();
    let current = current(here, &load(here, &mut reader)?)?;
    Ok(reader.fact(current.into_iter().collect()))
}

/// The namespace that the argv names, else that of the context, else `default`.
pub(super) fn namespace(here: &Here<'_>) -> Result<Fact, String> {
    if let Some(namespace) = filled(here.target.kube_namespace.as_ref()) {
        return Ok(Fact::known(namespace));
    }
    if here.filled("HELM_NAMESPACE")?.is_some() {
        return Err("`HELM_NAMESPACE` is set".to_owned());
    }
    let mut reader = Reader::default();
    let configs = load(here, &mut reader)?;
    let Some(current) = current(here, &configs)? else { return Ok(Fact::Absent) };
    let all = configs.iter().flat_map(|config| &config.contexts);
    let mut found = all.filter(|(name, _)| *name == current).map(|(_, namespace)| namespace);
    let first = found.next().ok_or_else(|| format!("no kubeconfig file has the context `{current}`"))?;
    // Versions of the client differ in how they merge a context that two files hold.
    if found.any(|other| other != first) {
        return Err(format!("two kubeconfig files have the context `{current}`"));
    }
    Ok(reader.fact(vec![first.clone().unwrap_or_else(|| "default".to_owned())]))
}

fn current(here: &Here<'_>, configs: &[Kubeconfig]) -> Result<Option<String>, String> {
    if let Some(context) = filled(here.target.kube_context.as_ref()) {
        return Ok(Some(context));
    }
    for name in ["HELM_KUBECONTEXT", "HELM_KUBEAPISERVER"] {
        if here.filled(name)?.is_some() {
            return Err(format!("`{name}` is set"));
        }
    }
    let current = configs.iter().find_map(|config| config.current.clone());
    if current.is_none() && here.filled("KUBERNETES_SERVICE_HOST")?.is_some() {
        return Err("no kubeconfig chooses a context, and this runs inside a cluster".to_owned());
    }
    Ok(current)
}

/// All kubeconfig files that exist, the strongest first.
fn load(here: &Here<'_>, reader: &mut Reader) -> Result<Vec<Kubeconfig>, String> {
    let mut configs = Vec::new();
    let given = here.target.kubeconfig.as_ref().filter(|path| !path.as_os_str().is_empty());
    for path in given.map_or_else(|| files(here), |path| Ok(vec![path.clone()]))? {
        let path = here.resolve(&path)?;
        match reader.read(&path)? {
            Some(bytes) => configs.push(kubeconfig::parse(&bytes).map_err(|what| format!("`{}`: {what}", path.display()))?),
            None if given.is_some() => return Err(format!("there is no `{}`", path.display())),
            None => {}
        }
    }
    Ok(configs)
}

fn files(here: &Here<'_>) -> Result<Vec<PathBuf>, String> {
    if let Some(list) = here.filled("KUBECONFIG")? {
        let mut seen = HashSet::new();
        let paths = std::env::split_paths(list).filter(|path| !path.as_os_str().is_empty());
        return Ok(paths.filter(|path| seen.insert(path.clone())).collect());
    }
    // Without HOME the client looks below the working directory.
    let home = here.variable("HOME")?.map_or(Path::new(""), Path::new);
    Ok(vec![home.join(".kube/config")])
}

fn filled(text: Option<&String>) -> Option<String> {
    text.filter(|text| !text.is_empty()).cloned()
}
