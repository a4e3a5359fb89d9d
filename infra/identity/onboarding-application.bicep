// The multi-tenant application that acts in customers' tenants (IDENTITY=federated). It has no
// secret and no certificate: the managed identity signs in as it, by a federated credential.
//
// What it asks customers for is declared here; what is granted in our own tenant is done by
// ../hooks/grant_graph_rights.py, because Graph refuses grants to a principal that is minutes old
// and a deployment cannot wait and try again.
extension microsoftGraphV1

param name string
param managedIdentityPrincipalId string
param managedIdentityClientId string
param federationAudience string
param consentRedirectUri string
param auditOnly bool

var rights = loadJsonContent('graph-rights.json')
var microsoftGraph = '00000003-0000-0000-c000-000000000000'

resource application 'Microsoft.Graph/applications@v1.0' = {
  uniqueName: name
  displayName: 'Mondoo Microsoft 365 onboarding'
  description: 'Connects Microsoft 365 tenants to Mondoo. Signs in as managed identity ${managedIdentityClientId}.'
  signInAudience: 'AzureADMultipleOrgs'
  web: {
    redirectUris: [
      consentRedirectUri
    ]
  }
  requiredResourceAccess: [
    {
      resourceAppId: microsoftGraph
      resourceAccess: map(auditOnly ? rights.audit : rights.onboarding, right => {
        id: right.id
        type: 'Role'
      })
    }
  ]

  resource federation 'federatedIdentityCredentials@v1.0' = {
    name: '${application.uniqueName}/managed-identity'
    description: 'The function app, by its user-assigned managed identity'
    issuer: '${environment().authentication.loginEndpoint}${tenant().tenantId}/v2.0'
    subject: managedIdentityPrincipalId
    audiences: [
      federationAudience
    ]
  }
}

resource principal 'Microsoft.Graph/servicePrincipals@v1.0' = {
  appId: application.appId
}

output clientId string = application.appId
output principalId string = principal.id
