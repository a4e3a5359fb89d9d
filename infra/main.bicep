// Everything that the product runs on, in one resource group. `azd up` deploys it; the values of
// the parameters come from main.parameters.json, and that takes them from the azd environment.
targetScope = 'subscription'

@minLength(1)
@maxLength(40)
@description('Name of the azd environment; names of resources are derived from it')
param environmentName string

@minLength(1)
@description('Azure region. Flex Consumption must be offered there')
@metadata({
  azd: {
    type: 'location'
  }
})
param location string

@description('Resource group; made when it does not exist')
param resourceGroupName string = ''

@allowed([
  'global'
  'usgov'
  'usgov-dod'
  'china'
])
@description('Microsoft cloud of the tenants; the deployment itself goes to the cloud that azd is signed in to')
param cloud string = 'global'

@allowed([
  'managed-identity'
  'federated'
  'certificate'
])
@description('Who acts in tenants; see the setting IDENTITY')
param identity string = 'managed-identity'

@description('Multi-tenant application; empty with `federated`: one is made')
param onboardingClientId string = ''

@description('Its certificate in the vault, for `certificate`')
param onboardingCertificate string = ''

@description('Rights for audits only: nothing in a tenant can be changed')
param auditOnly bool = false

@allowed([
  'storage'
  'scheduler'
])
@description('Where orchestrations are kept: Azure Storage, or Durable Task Scheduler for thousands of tenants')
param durableBackend string = 'storage'

@description('Reach storage, vault and topic over private endpoints only')
param privateNetworking bool = false

@allowed([
  'keys'
  'entra'
])
@description('What callers of the HTTP interface bring: a function key, or a token with the role Operator or Reader')
param authentication string = 'keys'

@description('Application that tokens are made for, with `entra`; empty: one is made')
param authenticationClientId string = ''

@description('Where alerts and the budget write to; empty: rules exist, but tell nobody')
param alertEmail string = ''

@minValue(0)
@description('Monthly budget in the currency of the subscription; 0: none')
param monthlyBudget int = 0

@description('First day of the month that the budget starts in')
param budgetStartDate string = ''

@minValue(30)
@maxValue(730)
@description('Days that logs are kept')
param logRetentionDays int = 90

@description('Settings of the app that this deployment does not derive; an empty one takes its default (README)')
param settings object

// The version that the tests run on, and that `make package` compiles for.
var pythonVersion = '3.11'
var token = toLower(uniqueString(subscription().id, environmentName, location))
var tags = {
  'azd-env-name': environmentName
}
var federationAudiences = {
  global: 'api://AzureADTokenExchange'
  usgov: 'api://AzureADTokenExchangeUSGov'
  'usgov-dod': 'api://AzureADTokenExchangeUSGov'
  china: 'api://AzureADTokenExchangeChina'
}
var appHost = 'func-${token}.${webSuffixes[environment().name]}'
var webSuffixes = {
  AzureCloud: 'azurewebsites.net'
  AzureUSGovernment: 'azurewebsites.us'
  AzureChinaCloud: 'chinacloudsites.cn'
}
var makesOnboardingApplication = identity == 'federated' && empty(onboardingClientId)
var makesApiApplication = authentication == 'entra' && empty(authenticationClientId)

resource group 'Microsoft.Resources/resourceGroups@2024-03-01' = {
  name: empty(resourceGroupName) ? 'rg-${environmentName}' : resourceGroupName
  location: location
  tags: tags
}

module appIdentity 'app/identity.bicep' = {
  name: 'identity'
  scope: group
  params: {
    name: 'id-${token}'
    location: location
    tags: tags
  }
}

module onboardingApplication 'identity/onboarding-application.bicep' = if (makesOnboardingApplication) {
  name: 'onboarding-application'
  scope: group
  params: {
    name: 'mondoo-onboarding-${token}'
    managedIdentityPrincipalId: appIdentity.outputs.principalId
    managedIdentityClientId: appIdentity.outputs.clientId
    federationAudience: federationAudiences[cloud]
    consentRedirectUri: 'https://${appHost}/api/consent/callback'
    auditOnly: auditOnly
  }
}

module apiApplication 'identity/api-application.bicep' = if (makesApiApplication) {
  name: 'api-application'
  scope: group
  params: {
    name: 'mondoo-onboarding-api-${token}'
  }
}

module monitoring 'app/monitoring.bicep' = {
  name: 'monitoring'
  scope: group
  params: {
    name: token
    location: location
    tags: tags
    retentionDays: logRetentionDays
  }
}

module storage 'app/storage.bicep' = {
  name: 'storage'
  scope: group
  params: {
    name: 'st${token}'
    location: location
    tags: tags
    privateNetworking: privateNetworking
    queueNames: [
      'tenant-additions'
    ]
  }
}

module vault 'app/vault.bicep' = {
  name: 'vault'
  scope: group
  params: {
    name: 'kv-${token}'
    location: location
    tags: tags
    privateNetworking: privateNetworking
    workspaceId: monitoring.outputs.workspaceId
  }
}

module events 'app/events.bicep' = {
  name: 'events'
  scope: group
  params: {
    name: token
    location: location
    tags: tags
    vaultId: vault.outputs.id
    privateNetworking: privateNetworking
  }
}

module scheduler 'app/scheduler.bicep' = if (durableBackend == 'scheduler') {
  name: 'scheduler'
  scope: group
  params: {
    name: token
    location: location
    tags: tags
  }
}

module network 'app/network.bicep' = if (privateNetworking) {
  name: 'network'
  scope: group
  params: {
    name: token
    location: location
    tags: tags
    storageId: storage.outputs.id
    vaultId: vault.outputs.id
    topicId: events.outputs.topicId
  }
}

module roles 'app/roles.bicep' = {
  name: 'roles'
  scope: group
  params: {
    principalId: appIdentity.outputs.principalId
    storageName: storage.outputs.name
    vaultName: vault.outputs.name
    insightsName: monitoring.outputs.insightsName
    topicName: events.outputs.topicName
    topicPrincipalId: events.outputs.topicPrincipalId
    vaultEventsPrincipalId: events.outputs.vaultEventsPrincipalId
    schedulerName: durableBackend == 'scheduler' ? scheduler.outputs.name : ''
    auditOnly: auditOnly
  }
}

// What the app is told and a person need not know. tests/infra holds this and main.parameters.json
// against the table in shared/config.py: each setting once, and no other.
var derivedSettings = {
  CLOUD: cloud
  IDENTITY: identity
  HOME_TENANT_ID: tenant().tenantId
  MANAGED_IDENTITY_CLIENT_ID: appIdentity.outputs.clientId
  ONBOARDING_CLIENT_ID: makesOnboardingApplication ? onboardingApplication.outputs.clientId : onboardingClientId
  ONBOARDING_CERTIFICATE: onboardingCertificate
  KEY_VAULT_URL: vault.outputs.uri
  TENANT_RECORDS: storage.outputs.tableEndpoint
  EVENT_TOPIC_ENDPOINT: events.outputs.topicEndpoint
  AUTHENTICATION: authentication
}

module functionApp 'app/function-app.bicep' = {
  name: 'function-app'
  scope: group
  params: {
    name: token
    location: location
    tags: tags
    identityId: appIdentity.outputs.id
    identityClientId: appIdentity.outputs.clientId
    settings: union(settings, derivedSettings)
    storageName: storage.outputs.name
    packages: storage.outputs.packages
    insightsName: monitoring.outputs.insightsName
    appSubnetId: privateNetworking ? network.outputs.appSubnetId : ''
    pythonVersion: pythonVersion
    schedulerEndpoint: durableBackend == 'scheduler' ? scheduler.outputs.endpoint : ''
    schedulerHub: durableBackend == 'scheduler' ? scheduler.outputs.hub : ''
    authenticationClientId: authentication == 'keys' ? '' : makesApiApplication ? apiApplication.outputs.clientId : authenticationClientId
  }
  // The app starts when it is made; its rights must be there by then.
  dependsOn: [
    roles
  ]
}

module alerts 'app/alerts.bicep' = {
  name: 'alerts'
  scope: group
  params: {
    name: token
    location: location
    tags: tags
    insightsName: monitoring.outputs.insightsName
    topicId: events.outputs.topicId
    vaultEventsName: events.outputs.vaultEventsName
    email: alertEmail
  }
}

module workbook 'app/workbook.bicep' = {
  name: 'workbook'
  scope: group
  params: {
    name: token
    location: location
    tags: tags
    insightsName: monitoring.outputs.insightsName
  }
}

module budget 'app/budget.bicep' = if (monthlyBudget > 0 && !empty(alertEmail) && !empty(budgetStartDate)) {
  name: 'budget'
  scope: group
  params: {
    amount: monthlyBudget
    email: alertEmail
    startDate: budgetStartDate
  }
}

// azd keeps these in its environment, where the hooks find them. Names and ids only.
output AZURE_RESOURCE_GROUP string = group.name
output AZURE_TENANT_ID string = tenant().tenantId
output FUNCTION_APP_NAME string = functionApp.outputs.name
output FUNCTION_APP_URL string = 'https://${functionApp.outputs.hostName}'
output KEY_VAULT_NAME string = vault.outputs.name
output IDENTITY_PRINCIPAL_ID string = appIdentity.outputs.principalId
output EVENT_TOPIC_NAME string = events.outputs.topicName
output VAULT_EVENTS_NAME string = events.outputs.vaultEventsName
output STORAGE_NAME string = storage.outputs.name
output AUTOMATION_PRINCIPAL_ID string = makesOnboardingApplication ? onboardingApplication.outputs.principalId : identity == 'managed-identity' ? appIdentity.outputs.principalId : ''
output AUTOMATION_CLIENT_ID string = identity == 'managed-identity' ? appIdentity.outputs.clientId : makesOnboardingApplication ? onboardingApplication.outputs.clientId : onboardingClientId
